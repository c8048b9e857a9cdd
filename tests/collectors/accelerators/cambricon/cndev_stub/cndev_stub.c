/*
 * A stand-in for Cambricon's libcndev.so that plays a scenario, for machines without a card.
 *
 *   cc -shared -fPIC -Wl,-soname,libcndev.so -o DIR/libcndev.so cndev_stub.c
 *   CNDEV_STUB_SCENARIO=FILE program
 *
 * With -DCNDEV_STUB_OLD it is a library of release 4: no handles, none of the functions of later
 * releases, shorter structures, interface version 5 at most. With -DCNDEV_STUB_GROWN it is one of a
 * release to come, which writes 64 bytes more behind each structure.
 *
 * The scenario is a text file of `key = value` lines. `#` begins a comment line. It is read again
 * at each cndevInit and each cndevGetDeviceCount. Without the variable there is no card.
 *
 * Keys before the first section hold for the library:
 *   FUNCTION = CODE   this function returns CODE (cndevInit = 1: no driver)
 *   hang = FUNCTION   this function never returns
 *   crash = FUNCTION  this function ends in SIGSEGV
 *   cards = N         how many cards are counted, if not those that are listed
 *
 * `[card]` begins a card, `[instance]` a MIM instance of the card above it:
 *   uuid = 01012001-…  name = MLU370-X8  pci = 0000:39:00.0
 *   family            number of the family, for cards without a name
 *   sn, board_sn      hexadecimal       memory_total, memory_used   MiB
 *   utilization       percent           chip, board                 degrees Celsius
 *   power             watts
 *   health, device_state, driver_state, overall, incident   codes of cndev
 *   mim = 1           MIM is on
 *   process = PID KIB a process that uses it; several lines
 *   id, profile, profile_memory, node, ipcm      of an instance
 *   FUNCTION = CODE   this function returns CODE for this card
 * A number that is not given is not supported (code 10). An instance's memory and utilization are
 * asked with the handle that cndevGetMluInstanceById gives.
 *
 * One thread at a time. Layouts and numbers are facts of the vendor's interface.
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
    UNSUPPORTED_VERSION = 3,
    UNINITIALIZED = 4,
    INVALID_ARGUMENT = 5,
    INVALID_DEVICE = 6,
    INSUFFICIENT_SPACE = 9,
    NOT_SUPPORTED = 10,
    NOT_FOUND = 14,
};
enum { MAX_UNITS = 64, MAX_RETURNS = 32, MAX_TEXT = 96, GROWTH = 64, MAX_PROCESSES = 128 };

typedef struct { int32_t version; uint32_t number; } card_info;
typedef struct { int32_t version; uint8_t uuid[37]; uint64_t ncs; } uuid_info;
typedef struct {
    int64_t total, used, reserved, virtual_total, virtual_used;
    uint64_t global, unused[16];
} memory_v2;
typedef struct {
    int32_t version;
    int64_t total, used, virtual_total, virtual_used, channels, channel_used[20];
    uint64_t global;
} memory_v1;
typedef struct { int32_t version, average, core[80]; } utilization_info;
typedef struct {
    int32_t version, board, cluster[20], die[8], chip;
    int32_t inlet, outlet, memory, video, cpu, isp;
} temperature_info;
typedef struct { int32_t usage, cap, machine, design, maximum, unused[16]; } device_power;
typedef struct {
    int32_t version, usage, cap, usage_decimal, machine, cap_decimal;
    uint16_t design, instantaneous, instantaneous_decimal;
} power_v1;
typedef struct { int32_t version, id; } name_info;
typedef struct { int32_t version; uint64_t sn, board_sn; } serial_info;
typedef struct {
    uint32_t subsystem, device_id;
    uint16_t vendor, subsystem_vendor;
    uint32_t domain, bus, device, function;
    uint16_t module, slot;
    uint32_t unused[8];
} pcie_v2;
typedef struct {
    int32_t version;
    uint32_t subsystem, device_id;
    uint16_t vendor, subsystem_vendor;
    uint32_t domain, bus, device, function;
    const char *physical_slot;
    int32_t slot;
} pcie_v1;
typedef struct {
    int32_t system, result;
    char message[512];
    uint32_t device, pci;
    int32_t code;
    uint32_t category, severity;
} incident;
typedef struct {
    int32_t health, device_state, driver_state, overall;
    uint32_t incident_count;
    incident incidents[64];
    uint32_t unused[8];
} health_v2;
typedef struct { int32_t version, health, device_state, driver_state; } health_v1;
typedef struct { int32_t version, mode; } mim_mode;
typedef struct {
    int32_t version, parent, id, profile_id;
    uint8_t uuid[37];
    int32_t domain, bus, device, function;
    int32_t placement[3], cores, vpus, jpus, gdmas, memory_size;
    char profile[100], node[100], ipcm[100], name[100];
    uint32_t unused[128];
} instance_info;

typedef struct { int32_t version; uint32_t pid; uint64_t physical, virtual_used; } process_info;

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
SIZE(card_info, 8);
SIZE(uuid_info, 56);
SIZE(memory_v2, 176);
SIZE(memory_v1, 216);
SIZE(utilization_info, 328);
SIZE(temperature_info, 148);
SIZE(device_power, 84);
SIZE(power_v1, 32);
SIZE(name_info, 8);
SIZE(serial_info, 24);
SIZE(pcie_v2, 64);
SIZE(pcie_v1, 48);
SIZE(incident, 540);
SIZE(health_v2, 34612);
SIZE(health_v1, 16);
SIZE(mim_mode, 8);
SIZE(instance_info, 1016);
SIZE(process_info, 24);

typedef struct { int given; long long value; } number;
typedef struct { char function[MAX_TEXT]; int code; } returned;
typedef struct { int count; returned each[MAX_RETURNS]; } returns;

typedef struct {
    int card; /* of an instance: the card above it; -1 for a card */
    char uuid[MAX_TEXT], name[MAX_TEXT], pci[32], profile[MAX_TEXT], node[MAX_TEXT], ipcm[MAX_TEXT];
    number sn, board_sn, memory_total, memory_used, utilization, chip, board, power;
    number health, device_state, driver_state, overall, incident, mim, id, profile_memory, family;
    process_info processes[MAX_PROCESSES];
    int process_count;
    returns returns;
} unit;

static struct {
    char hang[MAX_TEXT], crash[MAX_TEXT];
    number cards;
    returns returns;
    int unit_count;
    unit units[MAX_UNITS];
} scenario;
static int initialized;

static const struct { const char *key; size_t offset; int base; } numbers[] = {
#define NUMBER(field, base) {#field, offsetof(unit, field), base}
    NUMBER(sn, 16),          NUMBER(board_sn, 16),    NUMBER(memory_total, 10),
    NUMBER(memory_used, 10), NUMBER(utilization, 10), NUMBER(chip, 10),
    NUMBER(board, 10),       NUMBER(power, 10),       NUMBER(health, 10),
    NUMBER(device_state, 10), NUMBER(driver_state, 10), NUMBER(overall, 10),
    NUMBER(incident, 10),    NUMBER(mim, 10),         NUMBER(id, 10),
    NUMBER(profile_memory, 10), NUMBER(family, 10),
#undef NUMBER
};
static const struct { const char *key; size_t offset, size; } texts[] = {
#define TEXT(field) {#field, offsetof(unit, field), sizeof(((unit *)0)->field)}
    TEXT(uuid), TEXT(name), TEXT(pci), TEXT(profile), TEXT(node), TEXT(ipcm),
#undef TEXT
};

static void add_return(returns *list, const char *function, const char *code) {
    if (list->count == MAX_RETURNS)
        abort();
    snprintf(list->each[list->count].function, MAX_TEXT, "%s", function);
    list->each[list->count++].code = atoi(code);
}

static void set_of_unit(unit *here, const char *key, const char *value) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(key, numbers[i].key)) {
            number *place = (number *)((char *)here + numbers[i].offset);
            place->given = 1;
            place->value = (long long)strtoull(value, NULL, numbers[i].base);
            return;
        }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(key, texts[i].key)) {
            snprintf((char *)here + texts[i].offset, texts[i].size, "%s", value);
            return;
        }
    if (!strcmp(key, "process")) {
        process_info *added = &here->processes[here->process_count++];
        unsigned long long kib;
        if (here->process_count > MAX_PROCESSES || sscanf(value, "%u %llu", &added->pid, &kib) != 2)
            abort();
        added->physical = kib;
        return;
    }
    add_return(&here->returns, key, value);
}

static void read_scenario(void) {
    char line[256], key[MAX_TEXT], value[MAX_TEXT];
    const char *path = getenv("CNDEV_STUB_SCENARIO");
    memset(&scenario, 0, sizeof scenario);
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file)
        return;
    int card = -1;
    unit *here = NULL;
    while (fgets(line, sizeof line, file)) {
        if (*line == '[') {
            if (scenario.unit_count == MAX_UNITS)
                abort();
            here = &scenario.units[scenario.unit_count++];
            here->card = strncmp(line, "[card]", 6) ? card : -1;
            if (here->card < 0)
                card = scenario.unit_count - 1;
        } else if (*line != '#' && sscanf(line, "%95s = %95[^\n]", key, value) == 2) {
            if (here)
                set_of_unit(here, key, value);
            else if (!strcmp(key, "hang"))
                snprintf(scenario.hang, MAX_TEXT, "%s", value);
            else if (!strcmp(key, "crash"))
                snprintf(scenario.crash, MAX_TEXT, "%s", value);
            else if (!strcmp(key, "cards"))
                scenario.cards = (number){1, atoll(value)};
            else
                add_return(&scenario.returns, key, value);
        }
    }
    fclose(file);
}

/* A card's handle is its number plus 100, so that nobody takes one for the other; an instance's has
 * its id in the second byte. The old library takes the card's number itself. */
static unit *find_unit(int handle) {
#ifdef CNDEV_STUB_OLD
    int index = handle, id = 0;
#else
    int index = (handle & 0xff) - 100, id = handle >> 8;
#endif
    for (int i = 0, seen = 0; i < scenario.unit_count; i++) {
        if (scenario.units[i].card >= 0 || seen++ != index)
            continue;
        if (!id)
            return &scenario.units[i];
        for (int j = i + 1; j < scenario.unit_count && scenario.units[j].card >= 0; j++)
            if (scenario.units[j].id.value == id)
                return &scenario.units[j];
    }
    return NULL;
}

static int find_return(const returns *list, const char *function, int otherwise) {
    for (int i = 0; i < list->count; i++)
        if (!strcmp(list->each[i].function, function))
            return list->each[i].code;
    return otherwise;
}

static int enter(const char *function, const unit *here) {
    if (!strcmp(scenario.hang, function)) {
        fprintf(stderr, "cndev_stub: %s never returns\n", function);
        for (;;)
            pause();
    }
    if (!strcmp(scenario.crash, function))
        raise(SIGSEGV);
    int code = find_return(&scenario.returns, function, SUCCESS);
    return here && code == SUCCESS ? find_return(&here->returns, function, SUCCESS) : code;
}

static int version_is_known(int32_t version) {
#ifdef CNDEV_STUB_OLD
    return version >= 1 && version <= 5;
#else
    return version >= 1 && version <= 6;
#endif
}

/* What a library of another release writes behind the structure. */
static void grow(void *info, size_t size) {
#ifdef CNDEV_STUB_GROWN
    memset((char *)info + size, 0x77, GROWTH);
#else
    (void)info, (void)size;
#endif
}

#define ENTER(handle, versioned)                                                                   \
    unit *here = find_unit(handle);                                                                \
    if (!initialized)                                                                              \
        return UNINITIALIZED;                                                                      \
    if (!here)                                                                                     \
        return INVALID_DEVICE;                                                                     \
    int code = enter(__func__, here);                                                              \
    if (code != SUCCESS)                                                                           \
        return code;                                                                               \
    if (versioned && !version_is_known(*(const int32_t *)info))                                    \
        return UNSUPPORTED_VERSION;
#define NEED(field)                                                                                \
    if (!here->field.given)                                                                        \
        return NOT_SUPPORTED;
#define DONE(size)                                                                                 \
    grow(info, size);                                                                              \
    return SUCCESS;

int cndevInit(int reserved) {
    read_scenario();
    int code = enter(__func__, NULL);
    if (reserved != 0)
        return INVALID_ARGUMENT;
    initialized = code == SUCCESS;
    return code;
}

int cndevRelease(void) {
    initialized = 0;
    return enter(__func__, NULL);
}

int cndevGetDeviceCount(card_info *info) {
    if (!initialized)
        return UNINITIALIZED;
    read_scenario();
    int code = enter(__func__, NULL);
    if (code != SUCCESS)
        return code;
    if (!version_is_known(info->version))
        return UNSUPPORTED_VERSION;
    info->number = 0;
    for (int i = 0; i < scenario.unit_count; i++)
        info->number += scenario.units[i].card < 0;
    if (scenario.cards.given)
        info->number = (uint32_t)scenario.cards.value;
    DONE(sizeof *info)
}

int cndevGetUUID(uuid_info *info, int device) {
    ENTER(device, 1)
    if (!*here->uuid)
        return NOT_SUPPORTED;
    memset(info->uuid, 0, sizeof info->uuid);
    memcpy(info->uuid, here->uuid, strnlen(here->uuid, 36));
#ifdef CNDEV_STUB_OLD
    return SUCCESS;
#else
    info->ncs = 0;
    DONE(sizeof *info)
#endif
}

#ifdef CNDEV_STUB_OLD
const char *getCardNameStringByDevId(int device) {
#else
const char *cndevGetCardNameStringByDevId(int device) {
#endif
    unit *here = find_unit(device);
    if (!here || enter(__func__, here) != SUCCESS || !*here->name)
        return NULL;
    return here->name;
}

int cndevGetCardName(name_info *info, int device) {
    ENTER(device, 1)
    NEED(family)
    info->id = (int32_t)here->family.value;
    DONE(sizeof *info)
}

int cndevGetDeviceUtilizationInfo(utilization_info *info, int device) {
    ENTER(device, 1)
    NEED(utilization)
    memset(info->core, 0, sizeof info->core);
    info->average = (int32_t)here->utilization.value;
    DONE(sizeof *info)
}

int cndevGetTemperatureInfo(temperature_info *info, int device) {
    ENTER(device, 1)
    NEED(board)
    info->board = (int32_t)here->board.value;
#ifdef CNDEV_STUB_OLD /* knows no chip sensor */
    memset(info->cluster, 0, sizeof info->cluster);
    return SUCCESS;
#else
    memset(info->cluster, 0, sizeof *info - offsetof(temperature_info, cluster));
    info->chip = here->chip.given ? (int32_t)here->chip.value : -1;
    DONE(sizeof *info)
#endif
}

int cndevGetCardSN(serial_info *info, int device) {
    ENTER(device, 1)
    NEED(sn)
    info->sn = (uint64_t)here->sn.value;
    info->board_sn = (uint64_t)here->board_sn.value;
    DONE(sizeof *info)
}

int cndevGetCardHealthState(health_v1 *info, int device) {
    ENTER(device, 1)
    NEED(health)
    info->health = (int32_t)here->health.value;
#ifdef CNDEV_STUB_OLD
    return SUCCESS;
#else
    info->device_state = (int32_t)here->device_state.value;
    info->driver_state = (int32_t)here->driver_state.value;
    DONE(sizeof *info)
#endif
}

#ifdef CNDEV_STUB_OLD

int cndevGetMemoryUsage(memory_v1 *info, int device) {
    ENTER(device, 1)
    NEED(memory_total)
    info->total = here->memory_total.value;
    info->used = here->memory_used.value;
    return SUCCESS;
}

int cndevGetPowerInfo(power_v1 *info, int device) {
    ENTER(device, 1)
    NEED(power)
    info->usage = (int32_t)here->power.value;
    info->cap = 150;
    return SUCCESS;
}

int cndevGetPCIeInfo(pcie_v1 *info, int device) {
    ENTER(device, 1)
    if (sscanf(here->pci, "%x:%x:%x.%x", &info->domain, &info->bus, &info->device,
               &info->function) != 4)
        return NOT_SUPPORTED;
    return SUCCESS;
}

#else

int cndevGetDeviceHandleByIndex(int index, int *device) {
    unit *here = find_unit(index + 100);
    if (!initialized)
        return UNINITIALIZED;
    if (!here)
        return INVALID_DEVICE;
    int code = enter(__func__, here);
    if (code == SUCCESS)
        *device = index + 100;
    return code;
}

int cndevGetMemoryUsageV2(memory_v2 *info, int device) {
    ENTER(device, 0)
    NEED(memory_total)
    memset(info, 0, sizeof *info);
    info->total = here->memory_total.value;
    info->used = here->memory_used.value;
    DONE(sizeof *info)
}

int cndevGetDevicePowerInfo(device_power *info, int device) {
    ENTER(device, 0)
    NEED(power)
    memset(info, 0, sizeof *info);
    info->usage = (int32_t)here->power.value;
    info->cap = 250;
    DONE(sizeof *info)
}

int cndevGetPCIeInfoV2(pcie_v2 *info, int device) {
    ENTER(device, 0)
    memset(info, 0, sizeof *info);
    if (sscanf(here->pci, "%x:%x:%x.%x", &info->domain, &info->bus, &info->device,
               &info->function) != 4)
        return NOT_SUPPORTED;
    DONE(sizeof *info)
}

int cndevGetCardHealthStateV2(health_v2 *info, int device) {
    ENTER(device, 0)
    NEED(overall)
    memset(info, 0, sizeof *info);
    info->health = (int32_t)here->health.value;
    info->device_state = (int32_t)here->device_state.value;
    info->driver_state = (int32_t)here->driver_state.value;
    info->overall = (int32_t)here->overall.value;
    info->incident_count = (uint32_t)here->incident.given;
    info->incidents[0].code = (int32_t)here->incident.value;
    DONE(sizeof *info)
}

int cndevGetMimMode(mim_mode *info, int device) {
    ENTER(device, 1)
    NEED(mim)
    info->mode = (int32_t)here->mim.value;
    DONE(sizeof *info)
}

int cndevGetAllMluInstanceInfo(int *count, instance_info *info, int device) {
    ENTER(device, 1)
    int found = 0, first = (int)(here - scenario.units) + 1;
    for (int i = first; i < scenario.unit_count && scenario.units[i].card >= 0; i++)
        found++;
    if (found > *count) {
        *count = found;
        return INSUFFICIENT_SPACE;
    }
#ifdef CNDEV_STUB_GROWN
    size_t stride = sizeof *info + GROWTH;
#else
    size_t stride = sizeof *info;
#endif
    for (int i = 0; i < found; i++) {
        const unit *from = &scenario.units[first + i];
        instance_info *each = (instance_info *)((char *)info + stride * (size_t)i);
        memset(each, 0, stride);
        each->parent = device;
        each->id = (int32_t)from->id.value;
        memcpy(each->uuid, from->uuid, strnlen(from->uuid, 36));
        each->memory_size = (int32_t)from->profile_memory.value;
        snprintf(each->profile, sizeof each->profile, "%s", from->profile);
        snprintf(each->node, sizeof each->node, "%s", from->node);
        snprintf(each->ipcm, sizeof each->ipcm, "%s", from->ipcm);
    }
    *count = found;
    return SUCCESS;
}

int cndevGetProcessInfo(unsigned *count, process_info *info, int device) {
    ENTER(device, 1)
    unsigned found = (unsigned)here->process_count;
    if (found > *count) {
        *count = found;
        return INSUFFICIENT_SPACE;
    }
#ifdef CNDEV_STUB_GROWN
    size_t stride = sizeof *info + GROWTH;
#else
    size_t stride = sizeof *info;
#endif
    for (unsigned i = 0; i < found; i++) {
        memset((char *)info + stride * i, 0x77, stride);
        memcpy((char *)info + stride * i, &here->processes[i], sizeof *info);
    }
    *count = found;
    return SUCCESS;
}

int cndevGetMluInstanceById(int *instance, int id, int device) {
    if (!initialized)
        return UNINITIALIZED;
    if (!find_unit(device | id << 8))
        return NOT_FOUND;
    int code = enter(__func__, find_unit(device));
    *instance = device | id << 8;
    return code;
}

#endif
