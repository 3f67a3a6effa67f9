/* A program outside the tree, as the README has it: a network from text, numbers through it, the engine's own tape. */
#include <nn/api.h>
#include <nn/ops.h>

#include <stdio.h>

static const char text[] = "[net]\ninput.x = 2, T\nconv = conv1d out_channels=3 kernel_size=3 padding=1\nact = tanh\n";

int main(void)
{
    char error[240];
    float x[2 * 8], y[3 * 8];
    nn_model *m = nn_model_parse(text, "net", error, sizeof error);
    if (!m) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    for (int i = 0; i < 16; i++)
        x[i] = 0.125f * (float)(i % 7) - 0.25f;
    nn_model_draw_weights(m, 5);
    if (nn_model_set_input(m, 0, 3, (const int64_t[]){ 1, 2, 8 }, x) || nn_model_run(m) || nn_model_get_output(m, 0, y)) {
        fprintf(stderr, "%s\n", nn_model_error(m));
        return 1;
    }
    for (int i = 0; i < 24; i++)
        printf("%.9g\n", (double)y[i]);
    nn_model_free(m);

    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_node *one = nn_full(t, nn_shape_of(2, 3, 4), 1), *sum = nn_sum(t, nn_square(t, one));
    const int right = sum && nn_scalar(sum) == 12;
    nn_tape_free(t);
    return right ? 0 : 1;
}
