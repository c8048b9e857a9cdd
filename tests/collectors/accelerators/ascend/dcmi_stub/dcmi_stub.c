/*
 * A stand-in for Huawei's libdcmi.so, for tests: our own code, with the binary interface that the
 * plugin relies on.
 *
 * DCMI_STUB_SCENARIO names a text file:
 *
 *     dcmi_get_card_list = -8005         # this function answers this code, for every chip
 *     hang = dcmi_get_device_health      # this function never returns
 *     crash = dcmi_get_device_health     # this function ends the process
 *     grown = dcmi_get_device_hbm_info   # this function writes 8 bytes more than its structure
 *     second_interface = 1               # dcmi_init answers -8255; only dcmiv2_* work
 *     [card 32768]                       # a card; its keys are codes for its own calls
 *     mcu_power = 152                    # 0.1 W
 *     [chip]                             # a chip of the card above
 *     name = 310P3
 *     pci = 0 129 0 0
 *     hbm = 4096 65536                   # used, total; DDR likewise
 *     power = 885
 *     process = 4242 1073741824          # number and bytes; several lines
 *
 * Built with -DDCMI_STUB_OLD it lacks the newer functions altogether.
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, PARAMETER = -8001, BAD_ID = -8007, NOT_SUPPORTED = -8255 };
enum { MAX_CARDS = 64, MAX_CHIPS = 128, MAX_CODES = 16, MAX_PROCESSES = 32 };

typedef struct {
    char function[64];
    int code;
} code;

typedef struct {
    code each[MAX_CODES];
    int count;
} codes;

typedef struct {
    int given;
    long long used, total;
} amount;

typedef struct {
    int given;
    long long value;
} number;

struct process {
    int proc_id;
    unsigned long proc_mem_usage;
};
_Static_assert(sizeof(struct process) == 16, "dcmi_proc_mem_info");

typedef struct {
    int card, device, logic;
    char name[32], product[64];
    number type, health, temperature, power, ai_core, whole, phy;
    amount hbm, ddr;
    int pci[4], has_pci;
    struct process processes[MAX_PROCESSES];
    int process_count;
    codes codes;
} chip;

typedef struct {
    int id;
    number mcu_power;
    char label[64];
    codes codes;
} card;

static struct {
    codes codes;
    char hang[64], crash[64], grown[64];
    int second_interface;
    card cards[MAX_CARDS];
    int card_count;
    chip chips[MAX_CHIPS];
    int chip_count;
} scenario;

static void fail(const char *what, const char *text) {
    fprintf(stderr, "dcmi_stub: %s: %s\n", what, text);
    abort();
}

static char *trim(char *text) {
    text += strspn(text, " \t");
    for (size_t size = strlen(text); size > 0 && strchr(" \t\r\n", text[size - 1]); size--) {
        text[size - 1] = '\0';
    }
    return text;
}

static void add_code(codes *list, const char *function, const char *value) {
    if (list->count == MAX_CODES) {
        fail("too many codes", function);
    }
    snprintf(list->each[list->count].function, 64, "%s", function);
    list->each[list->count++].code = atoi(value);
}

static number parse_number(const char *value) {
    number parsed = {1, strtoll(value, NULL, 0)};
    return parsed;
}

static amount parse_amount(const char *value) {
    amount parsed = {1, 0, 0};
    if (sscanf(value, "%lld %lld", &parsed.used, &parsed.total) != 2) {
        fail("not two numbers", value);
    }
    return parsed;
}

static void set_chip_key(chip *of, const char *key, const char *value) {
    static const struct {
        const char *key;
        size_t offset;
    } numbers[] = {
        {"type", offsetof(chip, type)},       {"health", offsetof(chip, health)},
        {"power", offsetof(chip, power)},     {"temperature", offsetof(chip, temperature)},
        {"ai_core", offsetof(chip, ai_core)}, {"whole", offsetof(chip, whole)},
        {"phy", offsetof(chip, phy)},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            *(number *)((char *)of + numbers[i].offset) = parse_number(value);
            return;
        }
    }
    if (strcmp(key, "name") == 0) {
        snprintf(of->name, sizeof of->name, "%s", value);
    } else if (strcmp(key, "product") == 0) {
        snprintf(of->product, sizeof of->product, "%s", value);
    } else if (strcmp(key, "hbm") == 0) {
        of->hbm = parse_amount(value);
    } else if (strcmp(key, "ddr") == 0) {
        of->ddr = parse_amount(value);
    } else if (strcmp(key, "pci") == 0) {
        of->has_pci = 1;
        if (sscanf(value, "%d %d %d %d", of->pci, of->pci + 1, of->pci + 2, of->pci + 3) != 4) {
            fail("not four numbers", value);
        }
    } else if (strcmp(key, "process") == 0 && of->process_count < MAX_PROCESSES) {
        struct process *added = &of->processes[of->process_count++];
        if (sscanf(value, "%d %lu", &added->proc_id, &added->proc_mem_usage) != 2) {
            fail("not two numbers", value);
        }
    } else if (strncmp(key, "dcmi", 4) == 0) {
        add_code(&of->codes, key, value);
    } else {
        fail("unknown key of a chip", key);
    }
}

static void load_scenario(void) {
    const char *path = getenv("DCMI_STUB_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    card *of_card = NULL;
    chip *of_chip = NULL;

    memset(&scenario, 0, sizeof scenario);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *text = trim(line);
        char *equals = strchr(text, '=');
        int id;
        if (*text == '\0' || *text == '#') {
            continue;
        }
        if (sscanf(text, "[card %d]", &id) == 1) {
            if (scenario.card_count == MAX_CARDS) {
                fail("too many cards", text);
            }
            of_card = &scenario.cards[scenario.card_count++];
            of_card->id = id;
            of_chip = NULL;
        } else if (strcmp(text, "[chip]") == 0 && of_card != NULL) {
            if (scenario.chip_count == MAX_CHIPS) {
                fail("too many chips", text);
            }
            int device = of_chip == NULL ? 0 : of_chip->device + 1;
            of_chip = &scenario.chips[scenario.chip_count];
            of_chip->card = of_card->id;
            of_chip->device = device;
            of_chip->logic = scenario.chip_count++;
        } else if (equals == NULL) {
            fail("neither a key nor a section", text);
        } else {
            *equals = '\0';
            char *key = trim(text), *value = trim(equals + 1);
            if (of_chip != NULL) {
                set_chip_key(of_chip, key, value);
            } else if (of_card != NULL && strcmp(key, "mcu_power") == 0) {
                of_card->mcu_power = parse_number(value);
            } else if (of_card != NULL && strcmp(key, "label") == 0) {
                snprintf(of_card->label, sizeof of_card->label, "%s", value);
            } else if (strncmp(key, "dcmi", 4) == 0) {
                add_code(of_card != NULL ? &of_card->codes : &scenario.codes, key, value);
            } else if (strcmp(key, "hang") == 0) {
                snprintf(scenario.hang, sizeof scenario.hang, "%s", value);
            } else if (strcmp(key, "crash") == 0) {
                snprintf(scenario.crash, sizeof scenario.crash, "%s", value);
            } else if (strcmp(key, "grown") == 0) {
                snprintf(scenario.grown, sizeof scenario.grown, "%s", value);
            } else if (strcmp(key, "second_interface") == 0) {
                scenario.second_interface = atoi(value);
            } else {
                fail("unknown key", key);
            }
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static int code_of(const codes *list, const char *function) {
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->each[i].function, function) == 0) {
            return list->each[i].code;
        }
    }
    return OK;
}

/* What every function does first. */
static int enter(const char *function) {
    if (strcmp(scenario.hang, function) == 0) {
        fprintf(stderr, "dcmi_stub: hangs in %s\n", function);
        for (;;) {
            pause();
        }
    }
    if (strcmp(scenario.crash, function) == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    int second = strncmp(function, "dcmiv2_", 7) == 0;
    if (strcmp(function, "dcmi_init") != 0 && second != scenario.second_interface) {
        return NOT_SUPPORTED;
    }
    return code_of(&scenario.codes, function);
}

static card *find_card(int id) {
    for (int i = 0; i < scenario.card_count; i++) {
        if (scenario.cards[i].id == id) {
            return &scenario.cards[i];
        }
    }
    return NULL;
}

static int find_chip(const char *function, int card_id, int device, chip **found) {
    int code = enter(function);
    if (code != OK) {
        return code;
    }
    card *of = find_card(card_id);
    if (of == NULL) {
        return BAD_ID;
    }
    if ((code = code_of(&of->codes, function)) != OK) {
        return code;
    }
    for (int i = 0; i < scenario.chip_count; i++) {
        if (scenario.chips[i].card == card_id && scenario.chips[i].device == device) {
            *found = &scenario.chips[i];
            return code_of(&(*found)->codes, function);
        }
    }
    return BAD_ID;
}

#define ENTER()                                                                                    \
    do {                                                                                           \
        int code_ = enter(__func__);                                                               \
        if (code_ != OK) {                                                                         \
            return code_;                                                                          \
        }                                                                                          \
    } while (0)

#define ENTER_CHIP(card_id, device)                                                                \
    chip *of = NULL;                                                                               \
    do {                                                                                           \
        int code_ = find_chip(__func__, card_id, device, &of);                                     \
        if (code_ != OK) {                                                                         \
            return code_;                                                                          \
        }                                                                                          \
    } while (0)

#define FINISH(structure)                                                                          \
    do {                                                                                           \
        if (strcmp(scenario.grown, __func__) == 0) {                                               \
            memset((char *)(structure) + sizeof *(structure), 0, 8);                               \
        }                                                                                          \
        return OK;                                                                                 \
    } while (0)

static int give(number from, int *to) {
    if (!from.given) {
        return NOT_SUPPORTED;
    }
    *to = (int)from.value;
    return OK;
}

static int give_unsigned(number from, unsigned int *to) {
    return give(from, (int *)to);
}

/* The structures */

struct chip_info {
    char chip_type[32], chip_name[32], chip_ver[32];
    unsigned int aicore_cnt;
};
_Static_assert(sizeof(struct chip_info) == 100, "dcmi_chip_info");

struct chip_info_v2 {
    char chip_type[32], chip_name[32], chip_ver[32];
    unsigned int aicore_cnt;
    char npu_name[32];
};
_Static_assert(sizeof(struct chip_info_v2) == 132, "dcmi_chip_info_v2");

struct pcie_info {
    unsigned int venderid, subvenderid, deviceid, subdeviceid;
    int domain;
    unsigned int bus, device, func;
    char reserve[32];
};
_Static_assert(sizeof(struct pcie_info) == 64, "dcmi_pcie_info_all");

struct hbm_info {
    unsigned long long memory_size;
    unsigned int freq;
    unsigned long long memory_usage;
    int temp;
    unsigned int bandwith_util_rate;
};
_Static_assert(sizeof(struct hbm_info) == 32, "dcmi_hbm_info");

struct memory_info {
    unsigned long long memory_size, memory_available;
    unsigned int freq;
    unsigned long long hugepagesize, hugepages_total, hugepages_free;
    unsigned int utiliza;
    unsigned char reserve[60];
};
_Static_assert(sizeof(struct memory_info) == 112, "dcmi_get_memory_info_stru");

struct old_memory_info {
    unsigned long long memory_size;
    unsigned int freq, utiliza;
};
_Static_assert(sizeof(struct old_memory_info) == 16, "dcmi_memory_info_stru");

struct elabel {
    char product_name[256], model[256], manufacturer[256], manufacturer_date[256];
    char serial_number[256];
};
_Static_assert(sizeof(struct elabel) == 1280, "dcmi_elabel_info");

static int fill_hbm(const chip *of, struct hbm_info *info) {
    if (!of->hbm.given) {
        return NOT_SUPPORTED;
    }
    memset(info, 0, sizeof *info);
    info->memory_size = (unsigned long long)of->hbm.total;
    info->memory_usage = (unsigned long long)of->hbm.used;
    return OK;
}

static int fill_utilization(const chip *of, int type, unsigned int *rate) {
    return type == 2    ? give_unsigned(of->ai_core, rate)
           : type == 13 ? give_unsigned(of->whole, rate)
                        : PARAMETER;
}

static int fill_processes(const chip *of, struct process *found, int *count) {
    memcpy(found, of->processes, sizeof *found * (size_t)of->process_count);
    *count = of->process_count;
    return OK;
}

/* The first interface */

int dcmi_init(void) {
    load_scenario();
    ENTER();
    return scenario.second_interface ? NOT_SUPPORTED : OK;
}

int dcmi_get_card_list(int *count, int *list, int length) {
    load_scenario();
    ENTER();
    *count = 0;
    for (int i = 0; i < scenario.card_count && i < length; i++) {
        list[(*count)++] = scenario.cards[i].id;
    }
    return OK;
}

int dcmi_get_device_id_in_card(int card_id, int *most, int *mcu, int *cpu) {
    ENTER();
    card *of = find_card(card_id);
    if (of == NULL) {
        return BAD_ID;
    }
    *most = 0;
    for (int i = 0; i < scenario.chip_count; i++) {
        *most += scenario.chips[i].card == card_id;
    }
    *mcu = *most;
    *cpu = -1;
    return code_of(&of->codes, __func__);
}

int dcmi_get_device_type(int card_id, int device, int *type) {
    ENTER_CHIP(card_id, device);
    *type = (int)of->type.value;
    return OK;
}

int dcmi_get_device_chip_info(int card_id, int device, struct chip_info *info) {
    ENTER_CHIP(card_id, device);
    memset(info, 0, sizeof *info);
    snprintf(info->chip_type, sizeof info->chip_type, "Ascend");
    snprintf(info->chip_name, sizeof info->chip_name, "%s", of->name);
    FINISH(info);
}

int dcmi_get_device_logic_id(int *logic, int card_id, int device) {
    ENTER_CHIP(card_id, device);
    *logic = of->logic;
    return OK;
}

int dcmi_get_device_phyid_from_logicid(unsigned int logic, unsigned int *physical) {
    ENTER();
    if (logic >= (unsigned int)scenario.chip_count) {
        return BAD_ID;
    }
    return give_unsigned(scenario.chips[logic].phy, physical);
}

int dcmi_get_device_health(int card_id, int device, unsigned int *health) {
    ENTER_CHIP(card_id, device);
    return give_unsigned(of->health, health);
}

int dcmi_get_device_temperature(int card_id, int device, int *celsius) {
    ENTER_CHIP(card_id, device);
    return give(of->temperature, celsius);
}

int dcmi_get_device_power_info(int card_id, int device, int *tenths_of_watts) {
    ENTER_CHIP(card_id, device);
    return give(of->power, tenths_of_watts);
}

int dcmi_mcu_get_power_info(int card_id, int *tenths_of_watts) {
    ENTER();
    card *of = find_card(card_id);
    return of == NULL ? BAD_ID : give(of->mcu_power, tenths_of_watts);
}

int dcmi_get_device_utilization_rate(int card_id, int device, int type, unsigned int *rate) {
    ENTER_CHIP(card_id, device);
    return fill_utilization(of, type, rate);
}

int dcmi_get_device_resource_info(int card_id, int device, struct process *found, int *count) {
    ENTER_CHIP(card_id, device);
    return fill_processes(of, found, count);
}

int dcmi_get_hbm_info(int card_id, int device, struct hbm_info *info) {
    ENTER_CHIP(card_id, device);
    return fill_hbm(of, info);
}

int dcmi_get_memory_info(int card_id, int device, struct old_memory_info *info) {
    ENTER_CHIP(card_id, device);
    if (!of->ddr.given) {
        return NOT_SUPPORTED;
    }
    memset(info, 0, sizeof *info);
    info->memory_size = (unsigned long long)of->ddr.total;
    info->utiliza = (unsigned int)(of->ddr.used * 100 / of->ddr.total);
    return OK;
}

#ifndef DCMI_STUB_OLD
static int fill_pcie(const chip *of, struct pcie_info *info) {
    if (!of->has_pci) {
        return NOT_SUPPORTED;
    }
    memset(info, 0, sizeof *info);
    info->venderid = 0x19e5;
    info->domain = of->pci[0];
    info->bus = (unsigned int)of->pci[1];
    info->device = (unsigned int)of->pci[2];
    info->func = (unsigned int)of->pci[3];
    return OK;
}

int dcmi_get_device_chip_info_v2(int card_id, int device, struct chip_info_v2 *info) {
    ENTER_CHIP(card_id, device);
    memset(info, 0, sizeof *info);
    snprintf(info->chip_type, sizeof info->chip_type, "Ascend");
    snprintf(info->chip_name, sizeof info->chip_name, "%s", of->name);
    FINISH(info);
}

int dcmi_get_device_pcie_info_v2(int card_id, int device, struct pcie_info *info) {
    ENTER_CHIP(card_id, device);
    return fill_pcie(of, info);
}

int dcmi_get_device_hbm_info(int card_id, int device, struct hbm_info *info) {
    ENTER_CHIP(card_id, device);
    int code = fill_hbm(of, info);
    if (code != OK) {
        return code;
    }
    FINISH(info);
}

int dcmi_get_device_memory_info_v3(int card_id, int device, struct memory_info *info) {
    ENTER_CHIP(card_id, device);
    if (!of->ddr.given) {
        return NOT_SUPPORTED;
    }
    memset(info, 0, sizeof *info);
    info->memory_size = (unsigned long long)of->ddr.total;
    info->memory_available = (unsigned long long)(of->ddr.total - of->ddr.used);
    FINISH(info);
}

int dcmi_get_product_type(int card_id, int device, char *text, int length) {
    ENTER_CHIP(card_id, device);
    if (length < 32) {
        return PARAMETER;
    }
    snprintf(text, (size_t)length, "%s", *of->product ? of->product : "NA");
    return OK;
}

int dcmi_get_card_elabel_v2(int card_id, struct elabel *label) {
    ENTER();
    card *of = find_card(card_id);
    if (of == NULL || of->label[0] == '\0') {
        return NOT_SUPPORTED;
    }
    memset(label, 0, sizeof *label);
    snprintf(label->product_name, sizeof label->product_name, "%s", of->label);
    FINISH(label);
}

/* The second interface: one number for a device, which is the card's here */

int dcmiv2_init(void) {
    ENTER();
    return OK;
}

int dcmiv2_get_device_list(int *list, int *count, int length) {
    load_scenario();
    ENTER();
    *count = 0;
    for (int i = 0; i < scenario.card_count && i < length; i++) {
        list[(*count)++] = scenario.cards[i].id;
    }
    return OK;
}

int dcmiv2_get_device_chip_info(int id, struct chip_info_v2 *info) {
    ENTER_CHIP(id, 0);
    memset(info, 0, sizeof *info);
    snprintf(info->chip_name, sizeof info->chip_name, "%s", of->name);
    FINISH(info);
}

int dcmiv2_get_device_pcie_info(int id, struct pcie_info *info) {
    ENTER_CHIP(id, 0);
    return fill_pcie(of, info);
}

int dcmiv2_get_device_health(int id, unsigned int *health) {
    ENTER_CHIP(id, 0);
    return give_unsigned(of->health, health);
}

int dcmiv2_get_device_temperature(int id, int *celsius) {
    ENTER_CHIP(id, 0);
    return give(of->temperature, celsius);
}

int dcmiv2_get_device_power_info(int id, int *tenths_of_watts) {
    ENTER_CHIP(id, 0);
    return give(of->power, tenths_of_watts);
}

int dcmiv2_get_device_utilization_rate(int id, int type, unsigned int *rate) {
    ENTER_CHIP(id, 0);
    return fill_utilization(of, type, rate);
}

int dcmiv2_get_device_hbm_info(int id, struct hbm_info *info) {
    ENTER_CHIP(id, 0);
    return fill_hbm(of, info);
}

int dcmiv2_get_device_proc_mem_info(int id, struct process *found, int *count) {
    ENTER_CHIP(id, 0);
    return fill_processes(of, found, count);
}
#endif
