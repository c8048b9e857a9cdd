/*
 * A stand-in for Kunlunxin's libxpuml.so that plays a scenario, for machines without a card.
 *
 *   cc -shared -fPIC -Wl,-soname,libxpuml.so.1 -o DIR/libxpuml.so xpuml_stub.c
 *   XPUML_STUB_SCENARIO=FILE program
 *
 * With -DXPUML_STUB_OLD it is an older library: name and minor number are missing, and its
 * structures are shorter: memory without what is used, attributes without the counts.
 * With -DXPUML_STUB_GROWN its structures are 32 bytes longer than the 128 that are known.
 *
 * The scenario is a text file of `key = value` lines, read again at each xpumlInit; `#` begins a
 * comment line. Without the variable, or without the file, there is no card.
 *
 * Keys before the first section hold for the library:
 *   driver = 4.33.0        version of the driver
 *   FUNCTION = CODE        this function returns CODE
 *   hang = FUNCTION        this function never returns; it says so on stderr first
 *   crash = FUNCTION       this function ends in SIGSEGV
 * `[card]` begins a device:
 *   pci = 00000000:1a:00.0   serial = …   name = K200
 *   memory_total, memory_used, l3_total, l3_used   bytes     utilization   percent
 *   temperature   degrees Celsius     power   milliwatts     state, model, architecture, minor
 *   process = PID BYTES NODE_PID   a process that uses it; several lines
 *   FUNCTION = CODE          this function returns CODE for this device
 * A number that is not given is not supported (code 3); `all-ones` is "not available".
 *
 * One thread at a time. Numbers, names and layouts are facts of the library's interface; the code
 * is written for these tests.
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    INSUFFICIENT_SIZE = 7,
};

enum { MAX_CARDS = 64, MAX_OVERRIDES = 16, MAX_TEXT = 96, MAX_PROCESSES = 8,
       STRUCTURE_BYTES = 128 };

typedef struct {
    uint64_t page_size, total, free, used, l3_page_size, l3_total, l3_free, l3_used;
    uint64_t reserved[8];
} memory_info;

typedef struct {
    uint32_t xpu, memory;
    uint64_t reserved[15];
} utilization_info;

typedef struct {
    uint32_t domain, bus, device, function, device_id, subsystem_id;
    char bus_id[32];
    uint64_t reserved[9];
} pci_info;

typedef struct {
    int32_t architecture, board, model;
    uint32_t clusters, sdnns, dma_engines, decoders, encoders, image_processors, most_functions;
    uint64_t memory_mebibytes, l3_mebibytes, serial[2], reserved[7];
} attributes_info;

typedef struct {
    uint32_t pid;
    uint64_t used, l3_used;
    uint32_t node_pid;
    uint64_t reserved[12];
} process_info;

_Static_assert(sizeof(process_info) == STRUCTURE_BYTES, "process");
_Static_assert(offsetof(process_info, used) == 8 && offsetof(process_info, node_pid) == 24, "");
_Static_assert(sizeof(memory_info) == STRUCTURE_BYTES, "memory");
_Static_assert(sizeof(utilization_info) == STRUCTURE_BYTES, "utilization");
_Static_assert(sizeof(pci_info) == STRUCTURE_BYTES, "pci");
_Static_assert(sizeof(attributes_info) == STRUCTURE_BYTES, "attributes");
_Static_assert(offsetof(memory_info, used) == 24 && offsetof(memory_info, l3_used) == 56, "memory");
_Static_assert(offsetof(pci_info, bus_id) == 24 && offsetof(pci_info, device_id) == 16, "pci");
_Static_assert(offsetof(attributes_info, memory_mebibytes) == 40, "attributes");
_Static_assert(offsetof(attributes_info, serial) == 56, "attributes");

typedef struct {
    int given;
    uint64_t value;
} number;

typedef struct {
    char function[MAX_TEXT];
    int code;
} override;

typedef struct {
    char pci[32], serial[MAX_TEXT], name[MAX_TEXT];
    number memory_total, memory_used, l3_total, l3_used, utilization, temperature, power;
    number state, model, architecture, minor;
    int process_count;
    process_info processes[MAX_PROCESSES];
    int override_count;
    override overrides[MAX_OVERRIDES];
} card;

/* A handle is a structure of one pointer that is passed by value. */
typedef struct {
    card *handle;
} device;

_Static_assert(sizeof(device) == sizeof(void *), "handle");

static struct {
    char driver[MAX_TEXT], hang[MAX_TEXT], crash[MAX_TEXT];
    int override_count;
    override overrides[MAX_OVERRIDES];
    int card_count;
    card cards[MAX_CARDS];
} scenario;

static int initialized;

static const struct {
    const char *key;
    size_t offset;
} card_numbers[] = {
#define NUMBER(field) {#field, offsetof(card, field)}
    NUMBER(memory_total), NUMBER(memory_used), NUMBER(l3_total), NUMBER(l3_used),
    NUMBER(utilization),  NUMBER(temperature), NUMBER(power),    NUMBER(state),
    NUMBER(model),        NUMBER(architecture), NUMBER(minor),
#undef NUMBER
};

static void fail(const char *what, const char *text) {
    fprintf(stderr, "xpuml_stub: %s: %s\n", what, text);
    abort();
}

static number parse_number(const char *text) {
    number parsed = {1, ~(uint64_t)0};
    char *end;
    if (strcmp(text, "all-ones") != 0) {
        parsed.value = strtoull(text, &end, 10);
        if (*text == '\0' || *end != '\0') {
            fail("not a number", text);
        }
    }
    return parsed;
}

static void set(const char *key, const char *value) {
    card *here = scenario.card_count ? &scenario.cards[scenario.card_count - 1] : NULL;
    override *list = here ? here->overrides : scenario.overrides;
    int *count = here ? &here->override_count : &scenario.override_count;
    if (strncmp(key, "xpuml", 5) == 0) {
        if (*count == MAX_OVERRIDES) {
            fail("too many functions", key);
        }
        snprintf(list[*count].function, MAX_TEXT, "%s", key);
        list[(*count)++].code = (int)parse_number(value).value;
        return;
    }
    if (here == NULL) {
        char *place = strcmp(key, "driver") == 0  ? scenario.driver
                      : strcmp(key, "hang") == 0  ? scenario.hang
                      : strcmp(key, "crash") == 0 ? scenario.crash
                                                  : NULL;
        if (place == NULL) {
            fail("unknown key", key);
        }
        snprintf(place, MAX_TEXT, "%s", value);
        return;
    }
    for (size_t i = 0; i < sizeof card_numbers / sizeof *card_numbers; i++) {
        if (strcmp(key, card_numbers[i].key) == 0) {
            *(number *)((char *)here + card_numbers[i].offset) = parse_number(value);
            return;
        }
    }
    if (strcmp(key, "pci") == 0) {
        snprintf(here->pci, sizeof here->pci, "%s", value);
    } else if (strcmp(key, "serial") == 0) {
        snprintf(here->serial, sizeof here->serial, "%s", value);
    } else if (strcmp(key, "name") == 0) {
        snprintf(here->name, sizeof here->name, "%s", value);
    } else if (strcmp(key, "process") == 0 && here->process_count < MAX_PROCESSES) {
        process_info *added = &here->processes[here->process_count++];
        unsigned long long used;
        if (sscanf(value, "%u %llu %u", &added->pid, &used, &added->node_pid) != 3) {
            fail("no process", value);
        }
        added->used = used;
    } else {
        fail("unknown key", key);
    }
}

static char *trimmed(char *text) {
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    char *end = text + strlen(text);
    while (end > text && strchr(" \t\r\n", end[-1])) {
        *--end = '\0';
    }
    return text;
}

static void load(void) {
    memset(&scenario, 0, sizeof scenario);
    snprintf(scenario.driver, sizeof scenario.driver, "4.0.0");
    const char *path = getenv("XPUML_STUB_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file)) {
        char *text = trimmed(line);
        char *equals = strchr(text, '=');
        if (*text == '\0' || *text == '#') {
            continue;
        }
        if (strcmp(text, "[card]") == 0) {
            if (scenario.card_count++ == MAX_CARDS) {
                fail("too many cards", path);
            }
        } else if (equals == NULL) {
            fail("not understood", text);
        } else {
            *equals = '\0';
            set(trimmed(text), trimmed(equals + 1));
        }
    }
    fclose(file);
}

/* Plays what the scenario wants of a call; SUCCESS says that the call may go on. */
static int play(const char *function, const card *here) {
    if (strcmp(scenario.hang, function) == 0) {
        fprintf(stderr, "xpuml_stub: %s never returns\n", function);
        fflush(stderr);
        for (;;) {
            pause();
        }
    }
    if (strcmp(scenario.crash, function) == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    for (int i = 0; i < scenario.override_count; i++) {
        if (strcmp(scenario.overrides[i].function, function) == 0) {
            return scenario.overrides[i].code;
        }
    }
    for (int i = 0; here != NULL && i < here->override_count; i++) {
        if (strcmp(here->overrides[i].function, function) == 0) {
            return here->overrides[i].code;
        }
    }
    return initialized || strcmp(function, "xpumlInit") == 0 ? SUCCESS : UNINITIALIZED;
}

#define BEGIN(device)                                                     \
    card *here = (device).handle;                                         \
    if (here < scenario.cards || here >= scenario.cards + MAX_CARDS) {     \
        return INVALID_ARGUMENT;                                          \
    }                                                                     \
    int code = play(__func__, here);                                      \
    if (code != SUCCESS) {                                                \
        return code;                                                      \
    }

/* Writes a structure as this version of the library knows it. */
static void write_structure(void *place, const void *structure, size_t old_bytes) {
#if defined XPUML_STUB_OLD
    memcpy(place, structure, old_bytes);
#else
    (void)old_bytes;
    memcpy(place, structure, STRUCTURE_BYTES);
#endif
#if defined XPUML_STUB_GROWN
    memset((char *)place + STRUCTURE_BYTES, 0, 32);
#endif
}

static int write_number(number given, uint32_t *place) {
    if (!given.given) {
        return NOT_SUPPORTED;
    }
    *place = (uint32_t)given.value;
    return SUCCESS;
}

static int write_text(const char *text, char *place, unsigned length) {
    if (*text == '\0') {
        return NOT_SUPPORTED;
    }
    if (strlen(text) + 1 > length) {
        return INSUFFICIENT_SIZE;
    }
    strcpy(place, text);
    return SUCCESS;
}

int xpumlInit(void) {
    load();
    int code = play(__func__, NULL);
    initialized += code == SUCCESS;
    return code;
}

int xpumlShutdown(void) {
    int code = play(__func__, NULL);
    initialized -= initialized > 0;
    return code;
}

/* How often the library is open: for tests alone. */
int stub_open_count(void) {
    return initialized;
}

int xpumlSystemGetDriverVersion(char *version, unsigned length) {
    int code = play(__func__, NULL);
    return code != SUCCESS ? code : write_text(scenario.driver, version, length);
}

int xpumlDeviceGetCount(uint32_t *count) {
    int code = play(__func__, NULL);
    if (code == SUCCESS) {
        *count = (uint32_t)scenario.card_count;
    }
    return code;
}

int xpumlDeviceGetHandleByIndex(uint32_t index, device *found) {
    if (index >= (uint32_t)scenario.card_count) {
        return INVALID_ARGUMENT;
    }
    int code = play(__func__, &scenario.cards[index]);
    if (code == SUCCESS) {
        found->handle = &scenario.cards[index];
    }
    return code;
}

int xpumlDeviceGetMemoryInfo(device asked, memory_info *place) {
    BEGIN(asked)
    if (!here->memory_total.given) {
        return NOT_SUPPORTED;
    }
    memory_info info = {.page_size = 131072, .l3_page_size = 4096};
    info.total = here->memory_total.value;
    info.used = here->memory_used.given ? here->memory_used.value : ~(uint64_t)0;
    info.free = info.total - info.used;
    info.l3_total = here->l3_total.value;
    info.l3_used = here->l3_used.value;
    info.l3_free = info.l3_total - info.l3_used;
    write_structure(place, &info, offsetof(memory_info, used));
    return SUCCESS;
}

int xpumlDeviceGetComputeRunningProcesses(device asked, unsigned int *count, void *rows) {
    BEGIN(asked)
    if (*count < (unsigned int)here->process_count) {
        *count = (unsigned int)here->process_count;
        return INSUFFICIENT_SIZE;
    }
    *count = (unsigned int)here->process_count;
#if defined XPUML_STUB_GROWN
    const size_t stride = STRUCTURE_BYTES + 32;
#else
    const size_t stride = STRUCTURE_BYTES;
#endif
    for (int i = 0; i < here->process_count; i++) {
        write_structure((char *)rows + stride * (size_t)i, &here->processes[i],
                        offsetof(process_info, l3_used));
    }
    return SUCCESS;
}

int xpumlDeviceGetUtilizationRates(device asked, utilization_info *place) {
    BEGIN(asked)
    if (!here->utilization.given) {
        return NOT_SUPPORTED;
    }
    utilization_info info = {.xpu = (uint32_t)here->utilization.value};
    write_structure(place, &info, offsetof(utilization_info, reserved));
    return SUCCESS;
}

int xpumlDeviceGetPciInfo(device asked, pci_info *place) {
    BEGIN(asked)
    pci_info info = {.device_id = 0x36841d22};
    snprintf(info.bus_id, sizeof info.bus_id, "%s", here->pci);
    write_structure(place, &info, offsetof(pci_info, reserved));
    return SUCCESS;
}

int xpumlDeviceGetAttributes(device asked, attributes_info *place) {
    BEGIN(asked)
    if (!here->model.given) {
        return NOT_SUPPORTED;
    }
    attributes_info info = {.model = (int32_t)here->model.value};
    info.architecture = (int32_t)here->architecture.value;
    info.memory_mebibytes = here->memory_total.value >> 20;
    write_structure(place, &info, offsetof(attributes_info, clusters));
    return SUCCESS;
}

int xpumlDeviceGetTemperature(device asked, int sensor, uint32_t *place) {
    BEGIN(asked)
    return sensor != 0 ? INVALID_ARGUMENT : write_number(here->temperature, place);
}

int xpumlDeviceGetPowerUsage(device asked, uint32_t *place) {
    BEGIN(asked)
    return write_number(here->power, place);
}

int xpumlDeviceGetState(device asked, int32_t *place) {
    BEGIN(asked)
    return write_number(here->state, (uint32_t *)place);
}

int xpumlDeviceGetSerial(device asked, char *place, unsigned length) {
    BEGIN(asked)
    return write_text(here->serial, place, length);
}

#if !defined XPUML_STUB_OLD
int xpumlDeviceGetName(device asked, char *place, unsigned length) {
    BEGIN(asked)
    return write_text(here->name, place, length);
}

int xpumlDeviceGetMinorNumber(device asked, uint32_t *place) {
    BEGIN(asked)
    return write_number(here->minor, place);
}
#endif
