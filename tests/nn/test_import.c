/* Weights of other programs: a small Keras file and a PyTorch state dict (both committed, made by tools/golden/import.py) must
 * give the outputs computed there; the published Keras weights of the Arranger too, where they are at hand; and every
 * mistake has its sentence. */
#include "tests/nn/golden.h"

#include "nn/checkpoint.h"
#include "nn/import.h"

#include <unistd.h>

static const char keras_net[] =
    "[n]\ninput.x = 1, T\n"
    "emb = embedding num_embeddings=7 embedding_dim=4\nconv = conv1d out_channels=6 kernel_size=3 padding=same\n"
    "bn = batch_norm1d eps=1e-3\nlstm = lstm hidden_size=3 bidirectional=yes\nln = layer_norm eps=1e-3\n"
    "attn = multihead_attention num_heads=2\nsum = add from=ln,attn\ngru = gru hidden_size=4\n"
    "up = conv_transpose1d out_channels=3 kernel_size=4 stride=2\nout = conv1d out_channels=2 kernel_size=1\n";
static const char keras_map[] =
    "[import]\nroot = model\nignore = optimizer_weights\n"
    "n/emb = embedding embedding\nn/conv = conv1d conv1d\nn/bn = batch_normalization batch_normalization\n"
    "n/lstm = lstm bidirectional/forward_lstm/lstm_cell bidirectional/backward_lstm/lstm_cell\nn/ln = layer_normalization layer_normalization\n"
    "n/attn = attention multi_head_attention query key value attention_output\nn/gru = gru gru/gru_cell\n"
    "n/up = conv1d_transpose conv1d_transpose\nn/out = dense dense\n";
static const char torch_net[] =
    "[n]\ninput.x = 1, 5\n"
    "emb = embedding num_embeddings=7 embedding_dim=4\nconv = conv1d out_channels=6 kernel_size=3 padding=1 weight_norm=yes\n"
    "bn = batch_norm1d\nlstm = lstm hidden_size=3 num_layers=2 bidirectional=yes\n"
    "enc = transformer_encoder_layer nhead=2 dim_feedforward=8 activation=gelu repeat=2\n"
    "attn = multihead_attention num_heads=3\ngru = gru hidden_size=4\n"
    "up = conv_transpose1d out_channels=3 kernel_size=4 stride=2\nflat = flatten\nout = linear out_features=2\n";

typedef struct model {
    bl_config  *config;
    nn_params  *params;
    nn_network *net;
} model;

static model build(bl_config *config, const char *section)
{
    bl_error err = { BL_OK, "" };
    model m = { config, nn_params_new(&err), NULL };
    m.net = config ? nn_network_build(config, section, m.params, &err) : NULL;
    if (!m.net || nn_params_finish(m.params, &err) != BL_OK)
        fail_msg("%s", err.msg);
    nn_params_init(m.params, 1);
    return m;
}

static model model_of(const char *net, const char *map)
{
    char text[8192];
    bl_error err = { BL_OK, "" };
    snprintf(text, sizeof text, "%s%s", net, map);
    bl_config *config = bl_config_parse(text, "test.ini", &err);
    if (!config)
        fail_msg("%s", err.msg);
    return build(config, "n");
}

static void model_free(model *m)
{
    nn_network_free(m->net);
    nn_params_free(m->params);
    bl_config_free(m->config);
}

static bl_error take(model *m, const char *path)
{
    bl_error err = { BL_OK, "" };
    nn_checkpoint *file = nn_checkpoint_open_foreign(path, &err);
    if (file)
        nn_import(m->params, m->config, file, &err);
    nn_checkpoint_free(file);
    return err;
}

/* Runs the model on the case's inputs and holds the output against its y. */
static void expect_output(const model *m, const golden_case *c)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_node *in[GOLDEN_INPUTS];
    nn_tape_record(t, 0);
    for (int i = 0; i < nn_network_n_inputs(m->net); i++)
        in[i] = golden_leaf(t, golden_find(c, nn_network_input_name(m->net, i)));
    nn_node *y = nn_network_run(m->net, t, in, NULL);
    if (!y)
        fail_msg("%s: %s", c->name, t->err.msg);
    assert_true(nn_same_shape(&y->shape, &golden_find(c, "y")->shape));
    golden_compare(c, "y", y->x, golden_find(c, "y"));
    nn_tape_free(t);
}

static void import_and_run(const golden_case *c)
{
    const int is_keras = !strcmp(c->name, "keras");
    model m = model_of(is_keras ? keras_net : torch_net, is_keras ? keras_map : "");
    const bl_error err = take(&m, is_keras ? "tests/golden/keras.h5" : "tests/golden/torch.h5");
    if (err.code)
        fail_msg("%s", err.msg);
    expect_output(&m, c);
    model_free(&m);
}

static void imported_networks_compute_what_keras_and_pytorch_do(void **state)
{
    (void)state;
    golden_run_file("tests/golden/import.txt", "import", 2, import_and_run);
}

/* ---- the published weights ---- */

/* Where the Arranger's checkpoints are: they are no part of the project. */
static const char *oracle_folder(void)
{
    const char *folder = getenv("BACKLINE_ORACLE");
    return folder ? folder : "../shared/data/oracle";
}

static int n_missing;

static void run_arranger(const golden_case *c)
{
    static const char *const networks[][2] = { { "lstm_default", "lstm" }, { "lstm_bidirectional", "bilstm" },
                                               { "transformer_default", "transformer" }, { "transformer_lookahead", "lookahead" } };
    char ini[64] = "", weights[4096];
    bl_error err = { BL_OK, "" };
    for (int i = 0; i < 4; i++)
        if (!strcmp(c->name, networks[i][0]))
            snprintf(ini, sizeof ini, "configs/networks/arranger_%s.ini", networks[i][1]);
    model m = build(bl_config_load(ini, &err), "arranger");
    snprintf(weights, sizeof weights, "%s/arranger_bach_%s_embedding.h5", oracle_folder(), c->name);
    if (bl_is_file(weights)) {
        err = take(&m, weights);
        if (err.code)
            fail_msg("%s", err.msg);
        expect_output(&m, c);
    } else {
        n_missing++;
    }
    model_free(&m);
}

static void the_published_arrangers_compute_what_numpy_does(void **state)
{
    (void)state;
    n_missing = 0;
    golden_run_file("tests/golden/arranger.txt", "import", 4, run_arranger);
    if (n_missing) {
        print_message("skipped: %d of 4 published checkpoints are not in %s (github.com/salu133445/arranger; BACKLINE_ORACLE names "
                      "another folder)\n", n_missing, oracle_folder());
        skip();
    }
}

/* ---- there and back ---- */

typedef struct listing {
    const nn_checkpoint *other;
    int                  n, n_missing;
} listing;

static int hold_against(void *user, const char *name, nn_dtype type, int rank, const int64_t *dims)
{
    listing *l = user;
    nn_dtype other_type;
    int64_t other[NN_CHECKPOINT_RANK];
    int other_rank;
    (void)type;
    if (strstr(name, "num_batches_tracked"))
        return 0;
    l->n++;
    if (!nn_checkpoint_shape(l->other, name, &other_type, &other_rank, other) || other_rank != rank
        || memcmp(dims, other, (size_t)rank * sizeof *dims)) {
        print_message("%s differs\n", name);
        l->n_missing++;
    }
    return 0;
}

static void a_state_dict_comes_back_with_its_names_shapes_and_bits(void **state)
{
    char folder[] = "/tmp/backline_import_XXXXXX", ours[64], plain[64];
    bl_error err = { BL_OK, "" };
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(ours, sizeof ours, "%s/ours.h5", folder);
    snprintf(plain, sizeof plain, "%s/plain.h5", folder);
    model a = model_of(torch_net, ""), b = model_of(torch_net, "");
    assert_int_equal(take(&a, "tests/golden/torch.h5").code, BL_OK);
    nn_checkpoint *c = nn_checkpoint_create(ours, "network", &err);
    nn_params_save(a.params, c, "", &err);
    nn_checkpoint_put(c, "optimizer/n/steps", NN_I64, 0, NULL, &(int64_t){ 3 }, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    c = nn_checkpoint_open(ours, NULL, &err);
    assert_int_equal(nn_export_state_dict(c, "n/", plain, &err), BL_OK);
    assert_int_equal(nn_export_state_dict(c, "m/", plain, &err), BL_EARG);
    assert_non_null(strstr(err.msg, "nothing in it starts with \"m/\""));
    nn_checkpoint_free(c);
    err = take(&b, plain);
    if (err.code)
        fail_msg("%s", err.msg);
    assert_memory_equal(a.params->value, b.params->value, (size_t)a.params->n_elements * sizeof(real));
    nn_checkpoint *first = nn_checkpoint_open_foreign("tests/golden/torch.h5", &err), *last = nn_checkpoint_open_foreign(plain, &err);
    listing there = { last, 0, 0 }, back = { first, 0, 0 };
    nn_checkpoint_each(first, hold_against, &there);
    nn_checkpoint_each(last, hold_against, &back);
    assert_true(there.n == back.n && there.n == 60 && !there.n_missing && !back.n_missing);
    nn_checkpoint_free(first);
    nn_checkpoint_free(last);
    model_free(&a);
    model_free(&b);
    unlink(ours);
    unlink(plain);
    rmdir(folder);
}

/* ---- mistakes ---- */

/* Text with one part replaced. */
static void replaced(const char *text, const char *old, const char *fresh, char out[4096])
{
    const char *at = strstr(text, old);
    assert_non_null(at);
    snprintf(out, 4096, "%.*s%s%s", (int)(at - text), text, fresh, at + strlen(old));
}

static void every_mistake_is_one_sentence_and_changes_nothing(void **state)
{
    static const struct { const char *old, *fresh, *want; } maps[] = {
        { "n/out = dense dense", "n/out = dense dens", "has no \"model/dens/kernel:0\"; did you mean \"model/dense/kernel:0\"?" },
        { "n/out = dense dense", "n/out = dense dense extra", "test.ini line 24: [import] n/out: dense takes 1 to 1 names, got 2" },
        { "n/out = dense dense", "n/out = dens dense", "there is no rule \"dens\"; did you mean \"dense\"?" },
        { "n/out = dense dense", "n/ou = dense dense", "the network has no parameter n/ou/weight; did you mean n/out/weight?" },
        { "n/out = dense dense", "", "n/out/weight is filled by nothing" },
        { "n/out = dense dense", "n/out = dense dense\nn/conv/weight = torch dense/kernel:0", "\"model/dense/kernel:0\" is [3, 2], which does not fit n/conv/weight [6, 4, 3]" },
        { "n/out = dense dense", "n/out = dense dense\nn/out/bias = torch dense/bias:0", "n/out/bias is filled twice" },
        { "n/out = dense dense", "n/out = dense conv1d", "\"model/conv1d/kernel:0\" is [3, 4, 6], which does not fit n/out/weight [2, 3, 1]" },
        { "ignore = optimizer_weights\n", "", "nothing reads \"optimizer_weights/iter:0\"; name it in ignore =" },
        { "n/lstm = lstm bidirectional/forward_lstm/lstm_cell ", "n/lstm = lstm ", "n/lstm/weight_ih_l0_reverse is filled by nothing" },
        { "gru gru/gru_cell", "gru bidirectional/forward_lstm/lstm_cell", "recurrent_kernel:0\" is [3, 12], which does not fit n/gru/weight_hh_l0 [12, 4]" },
        { "query key value attention_output", "query key value out", "did you mean" },
        { "root = model", "root = modell", "has no \"modell/embedding/embeddings:0\"; did you mean \"model/embedding/embeddings:0\"?" },
        { "n/emb = embedding embedding", "n/emb =", "expected a rule and names, such as" },
    };
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        char map[4096];
        replaced(keras_map, maps[i].old, maps[i].fresh, map);
        model m = model_of(keras_net, map), untouched = model_of(keras_net, "");
        const bl_error err = take(&m, "tests/golden/keras.h5");
        if (!err.code || !strstr(err.msg, maps[i].want)) {
            print_message("expected \"%s\"\n     got \"%s\"\n", maps[i].want, err.msg);
            failures++;
        }
        assert_memory_equal(m.params->value, untouched.params->value, (size_t)m.params->n_elements * sizeof(real));
        model_free(&m);
        model_free(&untouched);
    }
    assert_int_equal(failures, 0);
}

static void state_dicts_of_other_networks_are_refused(void **state)
{
    static const struct { const char *old, *fresh, *want; } nets[] = {
        { "hidden_size=4", "hidden_size=5", "\"gru.weight_ih_l0\" is [12, 6], which does not fit n/gru/weight_ih_l0 [15, 6]" },
        { "lstm = lstm", "rnn = lstm", "has no \"rnn.weight_ih_l0\"" },
        { "num_layers=2 ", "", "nothing reads \"lstm.bias_hh_l1\"" },
        { " weight_norm=yes", "", "has no \"conv.weight\"; did you mean \"conv.weight_" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        char text[4096];
        replaced(torch_net, nets[i].old, nets[i].fresh, text);
        model m = model_of(text, "");
        const bl_error err = take(&m, "tests/golden/torch.h5");
        if (!err.code || !strstr(err.msg, nets[i].want))
            fail_msg("expected \"%s\", got \"%s\"", nets[i].want, err.msg);
        model_free(&m);
    }
}

static void parts_of_a_state_dict_have_names_of_their_own(void **state)
{
    bl_error err;
    (void)state;
    model m = model_of("[n]\ninput.x = 6, T\na = gru hidden_size=4\n", "[import]\nn/a = torch gru\n"
                       "ignore = attn bn conv emb enc lstm out up\n");
    err = take(&m, "tests/golden/torch.h5");
    if (err.code)
        fail_msg("%s", err.msg);
    model whole = model_of(torch_net, "");
    assert_int_equal(take(&whole, "tests/golden/torch.h5").code, BL_OK);
    const nn_param *p = &m.params->param[nn_params_find(m.params, "n/a/weight_hh_l0")];
    const nn_param *q = &whole.params->param[nn_params_find(whole.params, "n/gru/weight_hh_l0")];
    assert_memory_equal(m.params->value + p->offset, whole.params->value + q->offset, 12 * 4 * sizeof(real));
    model_free(&m);
    model_free(&whole);
}

static void files_that_cannot_be_right_are_refused(void **state)
{
    static const struct { const char *path, *want; } files[] = {
        { "tests/golden/nothing.h5", "tests/golden/nothing.h5: cannot be read" },
        { "tests/golden/import.txt", "tests/golden/import.txt: not a readable HDF5 file" },
        { "tests/golden", "tests/golden: cannot be read" },
        { "tests/golden/checkpoint_huge.h5", "dataset \"kmeans/centroids\" is not one of a file of weights (type, rank or size)" },
        { "tests/golden/foreign_virtual.h5", "dataset \"dense/kernel:0\" is not one of a file of weights" },
        { "tests/golden/foreign_external.h5", "dataset \"dense/kernel:0\" is not one of a file of weights" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bl_error err = { BL_OK, "" };
        assert_null(nn_checkpoint_open_foreign(files[i].path, &err));
        if (!strstr(err.msg, files[i].want))
            fail_msg("expected \"%s\", got \"%s\"", files[i].want, err.msg);
    }
}

/* No checksum stands before HDF5 here: at least a file that was cut short must not do harm. */
static void truncated_files_are_errors(void **state)
{
    char *bytes, path[] = "/tmp/backline_import_XXXXXX";
    size_t size;
    bl_error err = { BL_OK, "" };
    (void)state;
    assert_int_equal(bl_read_file("tests/golden/keras.h5", 1 << 20, &bytes, &size, &err), BL_OK);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t n = 0; n < size; n += 997) {
        bl_error cut = { BL_OK, "" };
        assert_int_equal(bl_write_file(path, bytes, n, &err), BL_OK);
        nn_checkpoint *c = nn_checkpoint_open_foreign(path, &cut);
        assert_null(c);
        assert_true(strlen(cut.msg) > 20);
    }
    unlink(path);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imported_networks_compute_what_keras_and_pytorch_do),
        cmocka_unit_test(the_published_arrangers_compute_what_numpy_does),
        cmocka_unit_test(a_state_dict_comes_back_with_its_names_shapes_and_bits),
        cmocka_unit_test(every_mistake_is_one_sentence_and_changes_nothing),
        cmocka_unit_test(state_dicts_of_other_networks_are_refused),
        cmocka_unit_test(parts_of_a_state_dict_have_names_of_their_own),
        cmocka_unit_test(files_that_cannot_be_right_are_refused),
        cmocka_unit_test(truncated_files_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
