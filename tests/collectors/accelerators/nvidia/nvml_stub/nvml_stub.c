/*
 * A stand-in for NVIDIA's libnvidia-ml.so.1 that plays a scenario, for machines without a card.
 *
 *   cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o DIR/libnvidia-ml.so.1 nvml_stub.c
 *   LD_LIBRARY_PATH=DIR NVML_STUB_SCENARIO=FILE program
 *
 * With -DNVML_STUB_OLD_DRIVER the calls are missing that old drivers do not have: memory v2,
 * temperature v, remapped rows, field values, MIG.
 *
 * The scenario is a text file of `key = value` lines. `#` begins a comment line. It is read again
 * at each nvmlInit and each nvmlDeviceGetCount, so that a test may rewrite it between two passes.
 * Without the variable, or without the file, there is no card.
 *
 * Keys before the first section hold for the library:
 *   driver = 590.48.01         version of the driver
 *   FUNCTION = CODE            this NVML function returns CODE (nvmlInitWithFlags = 9: no driver,
 *                              = 18: other version than the driver; 13: function not found)
 *   hang = FUNCTION            this function never returns
 *   hang_after_calls = N       the first N calls of any function return, the next one never does
 *   crash_after_calls = N      the first N calls return, the next one ends in SIGSEGV
 *   delay_milliseconds = N     each call takes so long
 *
 * `[card]` begins a card, in NVML's order; `[slice]` begins a MIG slice of the card above it:
 *   uuid = GPU-…  name = Tesla T4  pci = 00000000:3B:00.0
 *   memory_total, memory_reserved, memory_used   bytes; version 1 counts reserved as used
 *   utilization   percent        temperature   degrees Celsius
 *   power         milliwatts     energy        millijoules
 *   ecc_uncorrected   count      rows_pending, rows_failed   0 or 1
 *   recovery_action   0 none, 1 reset, …
 *   mig = 1            MIG is on (without the key the card has no MIG)
 *   slices_at_most = 7 what nvmlDeviceGetMaxMigDeviceCount answers
 *   index = 3          of a slice: its number on the card
 *   minor = 0          of a card: the number of its device node
 *   gpu_instance, compute_instance   of a slice: the numbers of its access nodes
 *   process = PID BYTES [PERCENT]      computes on it; BYTES may be all-ones; several lines
 *   graphics = PID BYTES               draws on it
 *   lost_after_calls = N    after N calls that name the card, it is lost for good (0: from the start)
 *   FUNCTION = CODE    this function returns CODE for this card
 * A number that is not given is not supported (code 3); `all-ones` is NVML's "not available".
 * A function that never returns says so on stderr first.
 * A lost card answers every call that names it, and the search for its handle, with code 15.
 *
 * One thread at a time. Layouts and numbers are those of NVIDIA's NVML API reference.
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    GPU_IS_LOST = 15,
    ARGUMENT_VERSION_MISMATCH = 25,
};

enum { MAX_UNITS = 64, MAX_OVERRIDES = 32, MAX_TEXT = 96, MAX_PROCESSES = 16 };

typedef struct {
    int given;
    unsigned long long value;
} number;

typedef struct {
    char function[MAX_TEXT];
    int code;
} override;

typedef struct {
    int count;
    override each[MAX_OVERRIDES];
} overrides;

typedef struct {
    unsigned int pid;
    number bytes, percent;
} process;

typedef struct {
    int count;
    process each[MAX_PROCESSES];
} process_list;

typedef struct {
    int card; /* index of the card that a slice belongs to; -1 for a card */
    char uuid[MAX_TEXT], name[MAX_TEXT], pci[32];
    number memory_total, memory_reserved, memory_used, utilization, temperature, power, energy;
    number ecc_uncorrected, rows_pending, rows_failed, recovery_action;
    number mig, slices_at_most, index, lost_after_calls;
    number minor, gpu_instance, compute_instance;
    process_list computing, drawing;
    overrides returns;
} unit;

static struct {
    char driver[MAX_TEXT], hang[MAX_TEXT];
    number hang_after_calls, crash_after_calls, delay_milliseconds;
    overrides returns;
    int unit_count;
    unit units[MAX_UNITS];
} scenario;

/* These outlive a scenario that is read again. */
static int initialized;
static unsigned long long calls;
static unsigned long long calls_of_card[MAX_UNITS];

static const struct {
    const char *key;
    size_t offset;
} unit_numbers[] = {
#define NUMBER(field) {#field, offsetof(unit, field)}
    NUMBER(memory_total), NUMBER(memory_reserved), NUMBER(memory_used),
    NUMBER(utilization),  NUMBER(temperature),     NUMBER(power),
    NUMBER(energy),       NUMBER(ecc_uncorrected), NUMBER(rows_pending),
    NUMBER(rows_failed),  NUMBER(recovery_action), NUMBER(mig),
    NUMBER(index),        NUMBER(slices_at_most),  NUMBER(lost_after_calls),
    NUMBER(minor),        NUMBER(gpu_instance),    NUMBER(compute_instance),
#undef NUMBER
};

static void fail(const char *what, const char *text) {
    fprintf(stderr, "nvml_stub: %s: %s\n", what, text);
    abort();
}

static void set_text(char *place, size_t size, const char *value) {
    snprintf(place, size, "%s", value);
}

static number parse_number(const char *text) {
    number parsed = {1, 0};
    char *end;
    if (strcmp(text, "all-ones") == 0) {
        parsed.value = ~0ULL;
        return parsed;
    }
    parsed.value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fail("not a number", text);
    }
    return parsed;
}

static void add_override(overrides *list, const char *function, const char *code) {
    if (list->count == MAX_OVERRIDES) {
        fail("too many functions", function);
    }
    override *added = &list->each[list->count++];
    set_text(added->function, sizeof added->function, function);
    added->code = (int)parse_number(code).value;
}

static void set_library_key(const char *key, const char *value) {
    if (strcmp(key, "driver") == 0) {
        set_text(scenario.driver, sizeof scenario.driver, value);
    } else if (strcmp(key, "hang") == 0) {
        set_text(scenario.hang, sizeof scenario.hang, value);
    } else if (strcmp(key, "hang_after_calls") == 0) {
        scenario.hang_after_calls = parse_number(value);
    } else if (strcmp(key, "crash_after_calls") == 0) {
        scenario.crash_after_calls = parse_number(value);
    } else if (strcmp(key, "delay_milliseconds") == 0) {
        scenario.delay_milliseconds = parse_number(value);
    } else if (strncmp(key, "nvml", 4) == 0) {
        add_override(&scenario.returns, key, value);
    } else {
        fail("unknown key of the library", key);
    }
}

static void add_process(process_list *list, const char *value) {
    char bytes[32] = "", percent[32] = "";
    unsigned int pid;
    int found = sscanf(value, "%u %31s %31s", &pid, bytes, percent);
    if (found < 2 || list->count == MAX_PROCESSES) {
        fail("no process, or too many", value);
    }
    process *added = &list->each[list->count++];
    added->pid = pid;
    added->bytes = parse_number(bytes);
    if (found == 3) {
        added->percent = parse_number(percent);
    }
}

static void set_unit_key(unit *of, const char *key, const char *value) {
    if (strcmp(key, "uuid") == 0) {
        set_text(of->uuid, sizeof of->uuid, value);
    } else if (strcmp(key, "name") == 0) {
        set_text(of->name, sizeof of->name, value);
    } else if (strcmp(key, "pci") == 0) {
        set_text(of->pci, sizeof of->pci, value);
    } else if (strcmp(key, "process") == 0) {
        add_process(&of->computing, value);
    } else if (strcmp(key, "graphics") == 0) {
        add_process(&of->drawing, value);
    } else if (strncmp(key, "nvml", 4) == 0) {
        add_override(&of->returns, key, value);
    } else {
        for (size_t i = 0; i < sizeof unit_numbers / sizeof *unit_numbers; i++) {
            if (strcmp(key, unit_numbers[i].key) == 0) {
                *(number *)((char *)of + unit_numbers[i].offset) = parse_number(value);
                return;
            }
        }
        fail("unknown key of a card", key);
    }
}

static char *trim(char *text) {
    text += strspn(text, " \t");
    for (size_t size = strlen(text); size > 0 && strchr(" \t\r\n", text[size - 1]); size--) {
        text[size - 1] = '\0';
    }
    return text;
}

static void load_scenario(void) {
    const char *path = getenv("NVML_STUB_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    int card = -1;
    unit *open = NULL;

    memset(&scenario, 0, sizeof scenario);
    set_text(scenario.driver, sizeof scenario.driver, "590.48.01");
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char *text = trim(line);
        char *equals = strchr(text, '=');
        if (*text == '\0' || *text == '#') {
            continue;
        }
        if (*text == '[') {
            if (scenario.unit_count == MAX_UNITS) {
                fail("too many cards", text);
            }
            open = &scenario.units[scenario.unit_count];
            if (strcmp(text, "[card]") == 0) {
                open->card = -1;
                card = scenario.unit_count;
            } else if (strcmp(text, "[slice]") == 0 && card >= 0) {
                open->card = card;
            } else {
                fail("unknown section", text);
            }
            scenario.unit_count++;
        } else if (equals == NULL) {
            fail("neither a key nor a section", text);
        } else {
            *equals = '\0';
            if (open == NULL) {
                set_library_key(trim(text), trim(equals + 1));
            } else {
                set_unit_key(open, trim(text), trim(equals + 1));
            }
        }
    }
    fclose(file);
}

static void hang(const char *function) {
    fprintf(stderr, "nvml_stub: hangs in %s\n", function);
    for (;;) {
        pause();
    }
}

static int overridden(const overrides *list, const char *function) {
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->each[i].function, function) == 0) {
            return list->each[i].code;
        }
    }
    return SUCCESS;
}

/* What every function does first. */
static int enter(const char *function) {
    unsigned long long milliseconds = scenario.delay_milliseconds.value;
    struct timespec delay = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
    calls++;
    if (milliseconds != 0) {
        nanosleep(&delay, NULL);
    }
    if (scenario.crash_after_calls.given && calls > scenario.crash_after_calls.value) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (strcmp(scenario.hang, function) == 0 ||
        (scenario.hang_after_calls.given && calls > scenario.hang_after_calls.value)) {
        hang(function);
    }
    return overridden(&scenario.returns, function);
}

/* What every function of a card does first. */
static int enter_unit(const char *function, const unit *of) {
    int code = initialized ? enter(function) : UNINITIALIZED;
    if (code != SUCCESS) {
        return code;
    }
    if (of < scenario.units || of >= scenario.units + scenario.unit_count) {
        return INVALID_ARGUMENT;
    }
    int card = of->card >= 0 ? of->card : (int)(of - scenario.units);
    const number *lost_after = &scenario.units[card].lost_after_calls;
    calls_of_card[card]++;
    if (lost_after->given && calls_of_card[card] > lost_after->value) {
        return GPU_IS_LOST;
    }
    return overridden(&of->returns, function);
}

#define ENTER()                                                                                    \
    do {                                                                                           \
        int code_ = enter(__func__);                                                               \
        if (code_ != SUCCESS) {                                                                    \
            return code_;                                                                          \
        }                                                                                          \
    } while (0)

#define ENTER_UNIT(of)                                                                             \
    do {                                                                                           \
        int code_ = enter_unit(__func__, of);                                                      \
        if (code_ != SUCCESS) {                                                                    \
            return code_;                                                                          \
        }                                                                                          \
    } while (0)

static int give_text(const char *text, char *buffer, unsigned int size) {
    if (strlen(text) + 1 > size) {
        return INSUFFICIENT_SIZE;
    }
    strcpy(buffer, text);
    return SUCCESS;
}

static int give_u32(number from, unsigned int *to) {
    if (!from.given) {
        return NOT_SUPPORTED;
    }
    *to = (unsigned int)from.value;
    return SUCCESS;
}

static int give_u64(number from, unsigned long long *to) {
    if (!from.given) {
        return NOT_SUPPORTED;
    }
    *to = from.value;
    return SUCCESS;
}

/* The library */

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    load_scenario();
    ENTER();
    initialized++;
    return SUCCESS;
}

int nvmlShutdown(void) {
    if (initialized == 0) {
        return UNINITIALIZED;
    }
    ENTER();
    initialized--;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    static char text[32];
    snprintf(text, sizeof text, "stub error %d", code);
    return text;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int size) {
    ENTER();
    return give_text(scenario.driver, version, size);
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    if (initialized == 0) {
        return UNINITIALIZED;
    }
    load_scenario();
    ENTER();
    *count = 0;
    for (int i = 0; i < scenario.unit_count; i++) {
        *count += scenario.units[i].card < 0;
    }
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, unit **found) {
    for (int i = 0; i < scenario.unit_count; i++) {
        if (scenario.units[i].card < 0 && index-- == 0) {
            ENTER_UNIT(&scenario.units[i]);
            *found = &scenario.units[i];
            return SUCCESS;
        }
    }
    return INVALID_ARGUMENT;
}

/* A card or a slice */

int nvmlDeviceGetUUID(unit *of, char *uuid, unsigned int size) {
    ENTER_UNIT(of);
    return give_text(of->uuid, uuid, size);
}

int nvmlDeviceGetName(unit *of, char *name, unsigned int size) {
    ENTER_UNIT(of);
    return give_text(of->name, name, size);
}

typedef struct {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} pci_info;
_Static_assert(sizeof(pci_info) == 68, "nvmlPciInfo_t");

int nvmlDeviceGetPciInfo_v3(unit *of, pci_info *pci) {
    ENTER_UNIT(of);
    if (of->pci[0] == '\0') {
        return NOT_SUPPORTED;
    }
    memset(pci, 0, sizeof *pci);
    set_text(pci->bus_id, sizeof pci->bus_id, of->pci);
    return SUCCESS;
}

typedef struct {
    unsigned long long total, free, used;
} memory_v1;
_Static_assert(sizeof(memory_v1) == 24, "nvmlMemory_t");

int nvmlDeviceGetMemoryInfo(unit *of, memory_v1 *memory) {
    ENTER_UNIT(of);
    if (!of->memory_total.given) {
        return NOT_SUPPORTED;
    }
    memory->total = of->memory_total.value;
    memory->used = of->memory_used.value + of->memory_reserved.value;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

#ifndef NVML_STUB_OLD_DRIVER
typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} memory_v2;
_Static_assert(sizeof(memory_v2) == 40, "nvmlMemory_v2_t");

int nvmlDeviceGetMemoryInfo_v2(unit *of, memory_v2 *memory) {
    ENTER_UNIT(of);
    if (memory->version != (sizeof *memory | 2 << 24)) {
        return ARGUMENT_VERSION_MISMATCH;
    }
    if (!of->memory_total.given) {
        return NOT_SUPPORTED;
    }
    memory->total = of->memory_total.value;
    memory->reserved = of->memory_reserved.value;
    memory->used = of->memory_used.value;
    memory->free = memory->total - memory->used - memory->reserved;
    return SUCCESS;
}
#endif

typedef struct {
    unsigned int gpu, memory;
} utilization_rates;
_Static_assert(sizeof(utilization_rates) == 8, "nvmlUtilization_t");

int nvmlDeviceGetUtilizationRates(unit *of, utilization_rates *rates) {
    ENTER_UNIT(of);
    rates->memory = 0;
    return give_u32(of->utilization, &rates->gpu);
}

int nvmlDeviceGetTemperature(unit *of, int sensor, unsigned int *celsius) {
    ENTER_UNIT(of);
    return sensor == 0 ? give_u32(of->temperature, celsius) : INVALID_ARGUMENT;
}

#ifndef NVML_STUB_OLD_DRIVER
typedef struct {
    unsigned int version;
    int sensor;
    int celsius;
} temperature_v1;
_Static_assert(sizeof(temperature_v1) == 12, "nvmlTemperature_v1_t");

int nvmlDeviceGetTemperatureV(unit *of, temperature_v1 *temperature) {
    ENTER_UNIT(of);
    if (temperature->version != (sizeof *temperature | 1 << 24)) {
        return ARGUMENT_VERSION_MISMATCH;
    }
    return give_u32(of->temperature, (unsigned int *)&temperature->celsius);
}
#endif

int nvmlDeviceGetPowerUsage(unit *of, unsigned int *milliwatts) {
    ENTER_UNIT(of);
    return give_u32(of->power, milliwatts);
}

int nvmlDeviceGetTotalEnergyConsumption(unit *of, unsigned long long *millijoules) {
    ENTER_UNIT(of);
    return give_u64(of->energy, millijoules);
}

/* Processes */

typedef struct {
    unsigned int pid;
    unsigned long long used;
    unsigned int gpu_instance, compute_instance;
} process_info;
_Static_assert(sizeof(process_info) == 24, "nvmlProcessInfo_v2_t");

static int give_processes(const process_list *list, unsigned int *count, process_info *infos) {
    if (*count < (unsigned int)list->count) {
        *count = (unsigned int)list->count;
        return INSUFFICIENT_SIZE;
    }
    for (int i = 0; i < list->count; i++) {
        infos[i] = (process_info){list->each[i].pid, list->each[i].bytes.value, ~0U, ~0U};
    }
    *count = (unsigned int)list->count;
    return SUCCESS;
}

#define RUNNING_PROCESSES(function, list)                                                          \
    int function(unit *of, unsigned int *count, process_info *infos) {                             \
        ENTER_UNIT(of);                                                                            \
        return give_processes(list, count, infos);                                                 \
    }

RUNNING_PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, &of->computing)
RUNNING_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, &of->drawing)
#ifndef NVML_STUB_OLD_DRIVER
RUNNING_PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, &of->computing)
RUNNING_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, &of->drawing)

static const process_list nobody;
RUNNING_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, &nobody)
#endif

typedef struct {
    unsigned int pid;
    unsigned long long timestamp;
    unsigned int sm, memory, encoder, decoder;
} process_sample;
_Static_assert(sizeof(process_sample) == 32, "nvmlProcessUtilizationSample_t");

int nvmlDeviceGetProcessUtilization(unit *of, process_sample *samples, unsigned int *count,
                                    unsigned long long last_seen) {
    unsigned int given = 0;
    ENTER_UNIT(of);
    (void)last_seen;
    for (int i = 0; i < of->computing.count; i++) {
        given += (unsigned int)of->computing.each[i].percent.given;
    }
    if (given == 0) {
        return of->card >= 0 ? NOT_SUPPORTED : NOT_FOUND;
    }
    if (*count < given) {
        *count = given;
        return INSUFFICIENT_SIZE;
    }
    *count = 0;
    for (int i = 0; i < of->computing.count; i++) {
        const process *each = &of->computing.each[i];
        if (each->percent.given) {
            samples[(*count)++] = (process_sample){.pid = each->pid,
                                                   .timestamp = 1000,
                                                   .sm = (unsigned int)each->percent.value};
        }
    }
    return SUCCESS;
}

int nvmlDeviceGetMinorNumber(unit *of, unsigned int *minor) {
    ENTER_UNIT(of);
    return give_u32(of->minor, minor);
}

/* Health */

int nvmlDeviceGetTotalEccErrors(unit *of, int type, int counter, unsigned long long *count) {
    ENTER_UNIT(of);
    return type == 1 && counter == 0 ? give_u64(of->ecc_uncorrected, count) : INVALID_ARGUMENT;
}

#ifndef NVML_STUB_OLD_DRIVER
int nvmlDeviceGetRemappedRows(unit *of, unsigned int *corrected, unsigned int *uncorrected,
                              unsigned int *pending, unsigned int *failed) {
    ENTER_UNIT(of);
    if (!of->rows_pending.given && !of->rows_failed.given) {
        return NOT_SUPPORTED;
    }
    *corrected = *uncorrected = 0;
    *pending = (unsigned int)of->rows_pending.value;
    *failed = (unsigned int)of->rows_failed.value;
    return SUCCESS;
}

typedef struct {
    unsigned int field_id, scope_id;
    long long timestamp, latency_microseconds;
    unsigned int value_type;
    int code;
    union {
        double d;
        unsigned int ui;
        unsigned long ul;
        unsigned long long ull;
    } value;
} field_value;
_Static_assert(sizeof(field_value) == 40, "nvmlFieldValue_t");

enum { RECOVERY_ACTION = 230, UNSIGNED_INT = 1 };

int nvmlDeviceGetFieldValues(unit *of, int count, field_value *values) {
    ENTER_UNIT(of);
    for (int i = 0; i < count; i++) {
        values[i].value_type = UNSIGNED_INT;
        values[i].code = values[i].field_id == RECOVERY_ACTION
                             ? give_u32(of->recovery_action, &values[i].value.ui)
                             : NOT_SUPPORTED;
    }
    return SUCCESS;
}

/* MIG */

int nvmlDeviceGetMigMode(unit *of, unsigned int *current, unsigned int *pending) {
    ENTER_UNIT(of);
    *pending = (unsigned int)of->mig.value;
    return give_u32(of->mig, current);
}

int nvmlDeviceGetMaxMigDeviceCount(unit *of, unsigned int *count) {
    ENTER_UNIT(of);
    *count = of->slices_at_most.given ? (unsigned int)of->slices_at_most.value : 7;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(unit *of, unsigned int index, unit **found) {
    ENTER_UNIT(of);
    for (int i = 0; i < scenario.unit_count; i++) {
        unit *slice = &scenario.units[i];
        if (slice->card == of - scenario.units && slice->index.value == index) {
            *found = slice;
            return overridden(&slice->returns, __func__);
        }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetGpuInstanceId(unit *of, unsigned int *id) {
    ENTER_UNIT(of);
    return give_u32(of->gpu_instance, id);
}

int nvmlDeviceGetComputeInstanceId(unit *of, unsigned int *id) {
    ENTER_UNIT(of);
    return give_u32(of->compute_instance, id);
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(unit *of, unit **card) {
    ENTER_UNIT(of);
    if (of->card < 0) {
        return INVALID_ARGUMENT;
    }
    *card = &scenario.units[of->card];
    return SUCCESS;
}
#endif
