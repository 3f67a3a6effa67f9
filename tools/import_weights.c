/* import_weights FILE.h5 NET.ini: weights of Keras or PyTorch into a checkpoint of ours. */
#include "base/cli.h"
#include "nn/import.h"
#include "nn/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *out = NULL, *kind = "network";

static const bl_cli_option options[] = {
    { "out", 'o', BL_CLI_TEXT, &out, "FILE", "the checkpoint to write" },
    { "kind", 0, BL_CLI_TEXT, &kind, "NAME", "its kind, which the program that reads it asks for (network)" },
    { NULL },
};

static const bl_cli_program program = {
    .name = "import_weights",
    .usage = "FILE.h5 NET.ini -o OUT.h5",
    .summary = "Takes weights from a Keras file or a PyTorch state dict (as HDF5) into the networks of an .ini.",
    .examples = "  import_weights arranger.h5 configs/networks/arranger_lstm.ini -o lstm.h5\n"
                "  tools/torch_to_h5.py model.pt model.h5 && import_weights model.h5 net.ini -o ours.h5\n",
    .min_positional = 2,
    .max_positional = 2,
};

/* Builds every section that has inputs; returns how many. */
static int build_all(const bl_config *config, nn_params *p, bl_error *err)
{
    int n = 0;
    for (int i = 0; i < bl_config_count(config) && !err->code; i++) {
        const bl_config_entry *e = bl_config_at(config, i);
        if (strncmp(e->key, "input.", 6) || e->used)
            continue;
        nn_network *net = nn_network_build(config, e->section, p, err);
        nn_network_free(net);
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    const char *path[2];
    bl_error err = { BL_OK, "" };
    int n = 0;
    const int rc = bl_cli_parse(&program, options, argc, argv, path, &n);
    if (rc >= 0)
        return rc;
    if (!out) {
        fprintf(stderr, "import_weights: where to? -o OUT.h5 is missing\n");
        return 2;
    }
    bl_config *config = bl_config_load(path[1], &err);
    nn_params *p = config ? nn_params_new(&err) : NULL;
    nn_checkpoint *file = NULL, *c = NULL;
    char *text = NULL;
    if (p && build_all(config, p, &err) == 0)
        bl_fail(&err, BL_EARG, "%s: no section has inputs (input.NAME = ...)", path[1]);
    if (!err.code && nn_params_finish(p, &err) == BL_OK)
        file = nn_checkpoint_open_foreign(path[0], &err);
    if (file && nn_import(p, config, file, &err) == BL_OK && bl_config_check_unused(config, &err) == BL_OK) {
        text = bl_config_text(config);
        if (!text)
            bl_fail(&err, BL_ENOMEM, "no memory for the configuration");
        c = text ? nn_checkpoint_create(out, kind, &err) : NULL;
    }
    if (c) {
        nn_checkpoint_put_text(c, "config", text, &err);
        nn_params_save(p, c, "", &err);
        if (nn_checkpoint_commit(c, &err) == BL_OK)
            printf("%s: %d parameters, %lld values from %s\n", out, p->n, (long long)nn_params_count(p, ""), path[0]);
    }
    free(text);
    nn_checkpoint_free(file);
    nn_params_free(p);
    bl_config_free(config);
    return err.code ? bl_cli_fail(&program, &err) : 0;
}
