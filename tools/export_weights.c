/* export_weights CHECKPOINT.h5: a network of a checkpoint as a state dict (HDF5), for PyTorch. */
#include "base/cli.h"
#include "nn/import.h"

#include <stdio.h>

static const char *out = NULL, *prefix = "";

static const bl_cli_option options[] = {
    { "out", 'o', BL_CLI_TEXT, &out, "FILE", "the file to write" },
    { "prefix", 0, BL_CLI_TEXT, &prefix, "NAME", "only what starts so, and without it (\"generator/\")" },
    { NULL },
};

static const bl_cli_program program = {
    .name = "export_weights",
    .usage = "CHECKPOINT.h5 -o OUT.h5",
    .summary = "Writes a checkpoint's weights as datasets named by PyTorch's state_dict keys.",
    .examples = "  export_weights models/classifier.h5 --prefix classifier/ -o classifier.h5\n"
                "  tools/h5_to_torch.py classifier.h5 classifier.pt\n",
    .min_positional = 1,
    .max_positional = 1,
};

int main(int argc, char **argv)
{
    const char *path;
    bl_error err = { BL_OK, "" };
    int n = 0;
    const int rc = bl_cli_parse(&program, options, argc, argv, &path, &n);
    if (rc >= 0)
        return rc;
    if (!out) {
        fprintf(stderr, "export_weights: where to? -o OUT.h5 is missing\n");
        return 2;
    }
    nn_checkpoint *c = nn_checkpoint_open(path, NULL, &err);
    if (c && nn_export_state_dict(c, prefix, out, &err) == BL_OK)
        printf("%s: written\n", out);
    nn_checkpoint_free(c);
    return err.code ? bl_cli_fail(&program, &err) : 0;
}
