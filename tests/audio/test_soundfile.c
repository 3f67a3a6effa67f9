#include "tests/temporary.h"

#include "audio/soundfile.h"
#include "base/rng.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/audio/test_signal.h"
#include "tests/message.h"

/* Sines of its own pitch in every channel, on a grid of 1/steps when steps > 0. */
static audio_clip sines(int n_channels, int64_t n, int rate, double steps)
{
    audio_clip clip;
    assert_int_equal(audio_clip_new(&clip, n_channels, n, rate, NULL), BL_OK);
    for (int c = 0; c < n_channels; c++)
        for (int64_t i = 0; i < n; i++) {
            const double v = 0.6 * sin(2 * 3.14159265358979323846 * (220.0 + 70 * c) * (double)i / rate);
            clip.samples[c * n + i] = (float)(steps > 0 ? nearbyint(v * steps) / steps + 0.0 : v);   /* no -0 */
        }
    return clip;
}

static void write_ok(const char *path, const audio_clip *clip, audio_encoding encoding)
{
    bl_error err = { 0 };
    if (audio_write(path, clip, encoding, &err) != BL_OK)
        fail_msg("%s", err.msg);
}

static audio_clip read_ok(const char *path)
{
    bl_error err = { 0 };
    audio_clip clip;
    if (audio_read(path, 0, &clip, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return clip;
}

/* Reading fails with this code, names the file, says this, and gives no clip. */
static void read_fails(const char *path, double max_seconds, bl_status code, const char *says)
{
    bl_error err = { 0 };
    audio_clip clip = { 0 };
    assert_int_not_equal(audio_read(path, max_seconds, &clip, &err), BL_OK);
    assert_message(err, path);
    assert_message(err, says);
    assert_int_equal(err.code, code);
    assert_null(clip.samples);
    assert_null(strchr(err.msg, '\n'));
}

static void write_fails(const char *path, const audio_clip *clip, audio_encoding encoding, bl_status code, const char *says)
{
    bl_error err = { 0 };
    const int before = temporary_count();
    assert_int_not_equal(audio_write(path, clip, encoding, &err), BL_OK);
    assert_message(err, path);
    assert_message(err, says);
    assert_int_equal(err.code, code);
    assert_int_equal(temporary_count(), before);
}

static void put_bytes(const char *path, const void *data, size_t n)
{
    bl_error err = { 0 };
    assert_int_equal(bl_write_file(path, data, n, &err), BL_OK);
}

static char *get_bytes(const char *path, size_t *n)
{
    char *data;
    assert_int_equal(bl_read_file(path, (size_t)1 << 28, &data, n, NULL), BL_OK);
    return data;
}

static void put32(unsigned char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(v >> (8 * i));
}

/* A float wav file by hand: 44 bytes of header that claims data_bytes, then the samples. */
static void put_wav(const char *path, uint16_t n_channels, uint32_t rate, uint32_t data_bytes, const float *samples, size_t n)
{
    unsigned char file[44 + 4 * 4096] = "RIFF....WAVEfmt ";
    put32(file + 4, 36 + data_bytes);
    put32(file + 16, 16);
    put32(file + 20, 3u | (uint32_t)n_channels << 16);
    put32(file + 24, rate);
    put32(file + 28, rate * n_channels * 4);
    put32(file + 32, (uint32_t)(uint16_t)(n_channels * 4) | 32u << 16);
    memcpy(file + 36, "data", 4);
    put32(file + 40, data_bytes);
    if (n > 0)
        memcpy(file + 44, samples, 4 * n);
    put_bytes(path, file, 44 + 4 * n);
}

static void lossless_formats_give_back_every_bit(void **state)
{
    static const struct { const char *name; audio_encoding encoding; double steps; int channels, rate; } cases[] = {
        { "a.wav", AUDIO_ENCODING_DEFAULT, 0, 1, 44100 },     { "b.wav", AUDIO_ENCODING_PCM16, 32768, 2, 8000 },
        { "c.wav", AUDIO_ENCODING_PCM24, 8388608, 6, 96000 }, { "d.aiff", AUDIO_ENCODING_FLOAT, 0, 2, 22050 },
        { "e.flac", AUDIO_ENCODING_DEFAULT, 8388608, 2, 44100 }, { "f.flac", AUDIO_ENCODING_PCM16, 32768, 8, 11025 },
        { "g.au", AUDIO_ENCODING_DEFAULT, 0, 3, 16000 },      { "h.caf", AUDIO_ENCODING_PCM24, 8388608, 1, 48000 },
        { "i.w64", AUDIO_ENCODING_DEFAULT, 0, 2, 192000 },    { "j.rf64", AUDIO_ENCODING_DEFAULT, 0, 2, 44100 },
        { "k.WAV", AUDIO_ENCODING_DEFAULT, 0, 64, 12345 },    { "l.aif", AUDIO_ENCODING_PCM16, 32768, 1, 1 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        audio_clip clip = sines(cases[k].channels, 10007, cases[k].rate, cases[k].steps);
        const char *path = temporary_path(cases[k].name);
        write_ok(path, &clip, cases[k].encoding);
        audio_clip back = read_ok(path);
        assert_int_equal(back.n_channels, clip.n_channels);
        assert_int_equal(back.n_samples, clip.n_samples);
        assert_int_equal(back.sample_rate, clip.sample_rate);
        assert_memory_equal(back.samples, clip.samples, sizeof(float) * (size_t)(clip.n_samples * clip.n_channels));
        unlink(path);
        audio_clip_free(&clip);
        audio_clip_free(&back);
    }
}

static void lossy_formats_give_back_nearly_the_same(void **state)
{
    static const struct { const char *name; int channels, rate; double db; } cases[] = {
        { "a.ogg", 2, 44100, -25 }, { "b.opus", 1, 48000, -20 }, { "c.mp3", 2, 44100, -20 }, { "d.oga", 1, 22050, -25 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        audio_clip clip = sines(cases[k].channels, 100000, cases[k].rate, 0);
        const char *path = temporary_path(cases[k].name);
        write_ok(path, &clip, AUDIO_ENCODING_DEFAULT);
        audio_clip back = read_ok(path);
        assert_int_equal(back.n_channels, clip.n_channels);
        assert_int_equal(back.sample_rate, clip.sample_rate);
        assert_true(back.n_samples >= clip.n_samples && back.n_samples < clip.n_samples + 3000);
        if (back.n_samples == clip.n_samples)   /* mp3 delays by what its decoder leaves */
            assert_true(error_db(back.samples, clip.samples, clip.n_samples) < cases[k].db);
        unlink(path);
        audio_clip_free(&clip);
        audio_clip_free(&back);
    }
}

static void integer_formats_clip_at_full_scale_instead_of_wrapping(void **state)
{
    audio_clip clip = sines(1, 4, 44100, 0);
    const char *path = temporary_path("clip.wav");
    (void)state;
    memcpy(clip.samples, (float[]){ 1.5f, -1.5f, 1.0f, -1.0f }, 16);
    write_ok(path, &clip, AUDIO_ENCODING_PCM16);
    audio_clip back = read_ok(path);
    const float top = 32767.0f / 32768.0f;
    assert_memory_equal(back.samples, ((float[]){ top, -1, top, -1 }), 16);
    unlink(path);
    audio_clip_free(&clip);
    audio_clip_free(&back);
}

static void the_same_samples_give_the_same_bytes(void **state)
{
    static const char *const names[] = { "a.wav", "b.flac", "c.aiff" };
    audio_clip clip = sines(2, 5000, 44100, 0);
    (void)state;
    for (int k = 0; k < 3; k++) {
        const char *path = temporary_path(names[k]);
        size_t n, m;
        write_ok(path, &clip, AUDIO_ENCODING_DEFAULT);
        char *first = get_bytes(path, &n);
        sleep(k == 0);   /* no time of day inside */
        write_ok(path, &clip, AUDIO_ENCODING_DEFAULT);
        char *second = get_bytes(path, &m);
        assert_int_equal(n, m);
        assert_memory_equal(first, second, n);
        free(first);
        free(second);
        unlink(path);
    }
    audio_clip_free(&clip);
}

static void info_tells_length_and_format_without_reading(void **state)
{
    audio_clip clip = sines(2, 22050, 44100, 0);
    const char *path = temporary_path("info.flac");
    audio_file_info info;
    bl_error err = { 0 };
    (void)state;
    write_ok(path, &clip, AUDIO_ENCODING_DEFAULT);
    assert_int_equal(audio_info(path, &info, &err), BL_OK);
    assert_int_equal(info.n_samples, 22050);
    assert_int_equal(info.n_channels, 2);
    assert_int_equal(info.sample_rate, 44100);
    assert_true(info.duration_s == 0.5);
    assert_non_null(strstr(info.format, "FLAC"));
    unlink(path);
    assert_int_equal(audio_info(path, &info, &err), BL_EIO);
    assert_message(err, "info.flac: cannot open");
    audio_clip_free(&clip);
}

static void files_that_are_no_sound_are_refused(void **state)
{
    const char *path = temporary_path("bad.wav");
    (void)state;
    read_fails(path, 0, BL_EIO, "cannot open: No such file");
    put_bytes(path, "", 0);
    read_fails(path, 0, BL_EFORMAT, "the file is empty");
    const char text[] = "Dear diary, today I renamed a text file to .wav and nobody noticed.\n";
    put_bytes(path, text, sizeof text - 1);
    read_fails(path, 0, BL_EFORMAT, "not a sound file");
    put_bytes(path, "RIFF", 4);
    read_fails(path, 0, BL_EFORMAT, "not a sound file");
    put_bytes(path, "\0", 1);
    read_fails(path, 0, BL_EFORMAT, "not a sound file");
    unlink(path);
    read_fails(temporary_folder, 0, BL_EFORMAT, "is a folder");
    const char *mp3 = temporary_path("text.mp3");
    put_bytes(mp3, text, sizeof text - 1);
    read_fails(mp3, 0, BL_EFORMAT, "no MPEG audio found");
    put_bytes(mp3, "ID3\3\0\0\0\0\x7F\x7F", 10);
    read_fails(mp3, 0, BL_EFORMAT, "no MPEG audio found");
    unlink(mp3);
}

static void zero_length_audio_is_refused(void **state)
{
    const char *path = temporary_path("zero.wav");
    (void)state;
    put_wav(path, 1, 44100, 0, NULL, 0);
    read_fails(path, 0, BL_EFORMAT, "contains no samples");
    unlink(path);
}

static void samples_that_are_not_finite_are_refused_and_located(void **state)
{
    static const struct { float value; const char *says; } cases[] = {
        { NAN, "not a number" }, { INFINITY, "infinite" }, { -INFINITY, "infinite" }, { 1e30f, "over a million times full scale" },
    };
    const char *path = temporary_path("nan.wav");
    float x[2000] = { 0 };
    (void)state;
    for (int k = 0; k < 4; k++) {
        x[2 * 441 + 1] = cases[k].value;
        put_wav(path, 2, 44100, sizeof x, x, 2000);
        read_fails(path, 0, BL_ENAN, cases[k].says);
        read_fails(path, 0, BL_ENAN, "sample 441 of channel 2 (at 0.010 s)");
    }
    unlink(path);
}

static void lengths_in_headers_are_not_believed(void **state)
{
    const char *path = temporary_path("huge.wav");
    float x[1000];
    (void)state;
    for (int i = 0; i < 1000; i++)
        x[i] = 0.001f * (float)i;
    static const uint32_t claims[] = { 0xFFFFFFFFu, 0xFFFFFF00u, 0x7FFFFFF0u, 4001, 3999 };
    for (int k = 0; k < 5; k++) {
        put_wav(path, 1, 44100, claims[k], x, 1000);
        audio_clip clip = read_ok(path);
        assert_true(clip.n_samples >= 999 && clip.n_samples <= 1000);
        assert_memory_equal(clip.samples, x, 999 * sizeof *x);
        audio_clip_free(&clip);
    }
    put_wav(path, 65535, 44100, 4000, x, 1000);
    read_fails(path, 0, BL_EFORMAT, "");
    put_wav(path, 0, 44100, 4000, x, 1000);
    read_fails(path, 0, BL_EFORMAT, "");
    put_wav(path, 1, 0, 4000, x, 1000);
    read_fails(path, 0, BL_EFORMAT, "");
    put_wav(path, 1, 0x7FFFFFFF, 4000, x, 1000);
    read_fails(path, 0, BL_EFORMAT, "sample rate");

    /* A flac file that promises 2^36 - 1 samples: 18 bytes of marker and header, then the length in 36 bits. */
    const char *flac = temporary_path("huge.flac");
    audio_clip clip = sines(1, 20000, 44100, 0);
    size_t n;
    write_ok(flac, &clip, AUDIO_ENCODING_DEFAULT);
    char *bytes = get_bytes(flac, &n);
    bytes[21] |= 0x0F;
    memset(bytes + 22, 0xFF, 4);
    put_bytes(flac, bytes, n);
    read_fails(flac, 0, BL_EFORMAT, "damaged or cut short");
    free(bytes);
    audio_clip_free(&clip);
    unlink(flac);
    unlink(path);
}

static void truncated_flac_is_refused_wherever_it_ends(void **state)
{
    audio_clip clip = sines(2, 60000, 44100, 0);
    const char *path = temporary_path("cut.flac");
    size_t n;
    (void)state;
    write_ok(path, &clip, AUDIO_ENCODING_DEFAULT);
    char *bytes = get_bytes(path, &n);
    for (int k = 1; k < 20; k++) {
        put_bytes(path, bytes, n * (size_t)k / 20);
        read_fails(path, 0, BL_EFORMAT, "");
    }
    put_bytes(path, bytes, n / 2);
    read_fails(path, 0, BL_EFORMAT, "damaged or cut short");
    put_bytes(path, bytes, n - 1);
    read_fails(path, 0, BL_EFORMAT, "");
    free(bytes);
    audio_clip_free(&clip);
    unlink(path);
}

static void a_wav_cut_short_is_read_as_far_as_it_goes(void **state)
{
    audio_clip clip = sines(2, 10000, 44100, 0);
    const char *path = temporary_path("cut.wav");
    size_t n;
    (void)state;
    write_ok(path, &clip, AUDIO_ENCODING_DEFAULT);
    char *bytes = get_bytes(path, &n);
    put_bytes(path, bytes, n - 8 * 5000 - 3);
    audio_clip back = read_ok(path);
    assert_true(back.n_samples >= 4990 && back.n_samples <= 5000);
    assert_memory_equal(back.samples + back.n_samples, clip.samples + 10000, sizeof(float) * (size_t)back.n_samples);
    free(bytes);
    audio_clip_free(&clip);
    audio_clip_free(&back);
    unlink(path);
}

static void a_file_with_the_wrong_extension_is_read_by_its_content(void **state)
{
    audio_clip clip = sines(1, 1000, 44100, 0);
    const char *wav = temporary_path("a.wav"), *mp3 = temporary_path("a.mp3");
    (void)state;
    write_ok(wav, &clip, AUDIO_ENCODING_DEFAULT);
    rename(wav, mp3);
    audio_clip back = read_ok(mp3);
    assert_memory_equal(back.samples, clip.samples, 4000);
    unlink(mp3);
    audio_clip_free(&clip);
    audio_clip_free(&back);
}

static void longer_than_the_limit_is_refused(void **state)
{
    static const char *const names[] = { "long.wav", "long.flac", "long.ogg" };
    audio_clip clip = sines(1, 80000, 8000, 0);
    (void)state;
    for (int k = 0; k < 3; k++) {
        const char *path = temporary_path(names[k]);
        bl_error err = { 0 };
        audio_clip back;
        write_ok(path, &clip, AUDIO_ENCODING_DEFAULT);
        read_fails(path, 9.5, BL_EFORMAT, "longer than the limit of 9.5 s");
        assert_int_equal(audio_read(path, 10, &back, &err), BL_OK);
        assert_int_equal(back.n_samples, 80000);
        audio_clip_free(&back);
        unlink(path);
    }
    audio_clip_free(&clip);
}

static void damaged_files_never_crash(void **state)
{
    static const char *const names[] = { "mutant.wav", "mutant.flac", "mutant.aiff", "mutant.au" };
    audio_clip clip = sines(2, 3000, 44100, 0);
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 7);
    for (int k = 0; k < 4; k++) {
        const char *path = temporary_path(names[k]);
        size_t n;
        write_ok(path, &clip, k == 1 ? AUDIO_ENCODING_PCM16 : AUDIO_ENCODING_DEFAULT);
        char *bytes = get_bytes(path, &n), *mutant = malloc(n);
        for (int i = 0; i < 150; i++) {
            memcpy(mutant, bytes, n);
            for (int j = 0; j < 1 + i % 4; j++)   /* headers above all */
                mutant[bl_rng_below(&rng, j % 2 ? (int64_t)n : 80)] = (char)bl_rng_next(&rng);
            FILE *f = fopen(path, "wb");   /* bl_write_file would sync each time */
            fwrite(mutant, 1, n, f);
            fclose(f);
            bl_error err = { 0 };
            audio_clip back;
            if (audio_read(path, 3600, &back, &err) == BL_OK)
                assert_true(back.n_samples > 0 && back.n_channels > 0 && back.sample_rate > 0);
            else
                assert_message(err, path);
            audio_clip_free(&back);
        }
        free(bytes);
        free(mutant);
        unlink(path);
    }
    audio_clip_free(&clip);
}

static void what_cannot_be_written_is_refused_and_leaves_nothing(void **state)
{
    audio_clip clip = sines(2, 1000, 44100, 0), none = { .n_channels = 1, .sample_rate = 44100 };
    (void)state;
    write_fails(temporary_path("song.xyz"), &clip, AUDIO_ENCODING_DEFAULT, BL_EARG, "cannot tell the sound format");
    write_fails(temporary_path("song"), &clip, AUDIO_ENCODING_DEFAULT, BL_EARG, "cannot tell the sound format");
    write_fails(temporary_path("song.wav"), &none, AUDIO_ENCODING_DEFAULT, BL_EARG, "no samples");
    write_fails(temporary_path("no/such/folder/song.wav"), &clip, AUDIO_ENCODING_DEFAULT, BL_EIO, "No such file");
    write_fails(temporary_path("song.opus"), &clip, AUDIO_ENCODING_DEFAULT, BL_EARG, "44100 Hz");
    clip.samples[1777] = NAN;
    write_fails(temporary_path("song.wav"), &clip, AUDIO_ENCODING_DEFAULT, BL_ENAN, "sample 777 of channel 2 is not finite");
    audio_clip_free(&clip);
}

static void a_full_disk_is_an_error_and_the_older_file_stays(void **state)
{
    static const char *const names[] = { "full.wav", "full.flac", "full.ogg" };
    audio_clip small = sines(1, 100, 44100, 0), large = sines(2, 300000, 44100, 0);
    struct rlimit was, tight;
    (void)state;
    getrlimit(RLIMIT_FSIZE, &was);
    tight = was;
    tight.rlim_cur = 4096 * 4;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    for (int k = 0; k < 3; k++) {
        const char *path = temporary_path(names[k]);
        size_t n, m;
        write_ok(path, &small, AUDIO_ENCODING_DEFAULT);
        char *before = get_bytes(path, &n);
        setrlimit(RLIMIT_FSIZE, &tight);
        write_fails(path, &large, AUDIO_ENCODING_DEFAULT, BL_EIO, "cannot write: File too large");
        setrlimit(RLIMIT_FSIZE, &was);
        char *after = get_bytes(path, &m);
        assert_int_equal(n, m);
        assert_memory_equal(before, after, n);
        free(before);
        free(after);
        unlink(path);
    }
    signal(SIGXFSZ, old);
    audio_clip_free(&small);
    audio_clip_free(&large);
}

static void sound_names_are_known_by_extension(void **state)
{
    (void)state;
    assert_true(audio_is_sound_name("a/b/song.mp3"));
    assert_true(audio_is_sound_name("SONG.FLAC"));
    assert_false(audio_is_sound_name("song.mp3.txt"));
    assert_false(audio_is_sound_name("wav"));
    assert_false(audio_is_sound_name("cover.jpg"));
}

static void mono_is_the_mean_of_the_channels(void **state)
{
    audio_clip clip;
    float out[3];
    (void)state;
    assert_int_equal(audio_clip_new(&clip, 2, 3, 8000, NULL), BL_OK);
    memcpy(clip.samples, (float[]){ 1, 0, -1, 0.5f, 0, 1 }, 24);
    audio_clip_mono(&clip, out);
    assert_memory_equal(out, ((float[]){ 0.75f, 0, 0 }), 12);
    audio_clip_free(&clip);
    audio_clip_free(&clip);
    bl_error err = { 0 };
    assert_int_equal(audio_clip_new(&clip, 2, INT64_MAX / 2, 8000, &err), BL_ENOMEM);
    assert_null(clip.samples);
}

static void a_file_read_in_pieces_is_the_file_read_at_once(void **state)
{
    static const int64_t pieces[] = { 1000, 65536, 99999, 1000000 };
    const audio_clip clip = sines(2, 150000, 44100, 32768);
    (void)state;
    write_ok(temporary_path("whole.flac"), &clip, AUDIO_ENCODING_PCM16);
    for (int i = 0; i < 4; i++) {
        bl_error err = { 0 };
        audio_file_info info;
        audio_clip piece;
        int64_t n = 0;
        audio_reader *r = audio_reader_open(temporary_path("whole.flac"), &info, &err);
        assert_non_null(r);
        assert_int_equal(info.n_samples, 150000);
        for (;;) {
            assert_int_equal(audio_reader_next(r, pieces[i], &piece, &err), BL_OK);
            if (!piece.n_samples)
                break;
            assert_true(piece.n_samples == pieces[i] || n + piece.n_samples == 150000);
            for (int c = 0; c < 2; c++)
                assert_memory_equal(piece.samples + c * piece.n_samples, clip.samples + c * 150000 + n, (size_t)piece.n_samples * 4);
            n += piece.n_samples;
            audio_clip_free(&piece);
        }
        assert_int_equal(n, 150000);
        audio_reader_close(r);
    }
    free(clip.samples);
}

static void what_is_broken_in_a_file_is_found_when_it_is_reached(void **state)
{
    bl_error err = { 0 };
    audio_file_info info;
    audio_clip piece;
    size_t n;
    const audio_clip clip = sines(1, 400000, 44100, 32768);
    (void)state;
    assert_null(audio_reader_open(temporary_path("none.wav"), &info, &err));
    assert_message(err, "none.wav");
    err = (bl_error){ 0 };
    write_ok(temporary_path("cut.flac"), &clip, AUDIO_ENCODING_PCM16);
    char *bytes = get_bytes(temporary_path("cut.flac"), &n);
    put_bytes(temporary_path("cut.flac"), bytes, n / 2);
    audio_reader *r = audio_reader_open(temporary_path("cut.flac"), &info, &err);
    assert_non_null(r);
    assert_int_equal(audio_reader_next(r, 50000, &piece, &err), BL_OK);
    assert_int_equal(piece.n_samples, 50000);
    audio_clip_free(&piece);
    assert_int_not_equal(audio_reader_next(r, 400000, &piece, &err), BL_OK);
    assert_message(err, "cut.flac");
    assert_null(piece.samples);
    audio_reader_close(r);
    audio_reader_close(NULL);
    free(bytes);
    free(clip.samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_read_in_pieces_is_the_file_read_at_once),
        cmocka_unit_test(what_is_broken_in_a_file_is_found_when_it_is_reached),
        cmocka_unit_test(lossless_formats_give_back_every_bit),
        cmocka_unit_test(lossy_formats_give_back_nearly_the_same),
        cmocka_unit_test(integer_formats_clip_at_full_scale_instead_of_wrapping),
        cmocka_unit_test(the_same_samples_give_the_same_bytes),
        cmocka_unit_test(info_tells_length_and_format_without_reading),
        cmocka_unit_test(files_that_are_no_sound_are_refused),
        cmocka_unit_test(zero_length_audio_is_refused),
        cmocka_unit_test(samples_that_are_not_finite_are_refused_and_located),
        cmocka_unit_test(lengths_in_headers_are_not_believed),
        cmocka_unit_test(truncated_flac_is_refused_wherever_it_ends),
        cmocka_unit_test(a_wav_cut_short_is_read_as_far_as_it_goes),
        cmocka_unit_test(a_file_with_the_wrong_extension_is_read_by_its_content),
        cmocka_unit_test(longer_than_the_limit_is_refused),
        cmocka_unit_test(damaged_files_never_crash),
        cmocka_unit_test(what_cannot_be_written_is_refused_and_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_an_error_and_the_older_file_stays),
        cmocka_unit_test(sound_names_are_known_by_extension),
        cmocka_unit_test(mono_is_the_mean_of_the_channels),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
