/* The validator: does an instrument belong in a genre, and what to take if it does not.
 *
 *     P(instrument | genre) = (strength * weight + count) / (strength + songs)
 *
 * the posterior mean of "a song of this genre has this instrument": weight from data/genre_instruments.ini
 * is the prior mean of a Beta distribution worth `strength` songs (over all instruments: a product of Betas, one
 * Dirichlet of two outcomes each), count the songs of the genre in a dataset with that instrument, songs their number.
 *
 *     data_validator *v = data_validator_new(NULL, &err);           // the table that comes with backline
 *     data_validator_learn(v, dataset);                             // counts from metadata and stems
 *     data_decision d = data_validator_decide(v, "rock", "violin", 0, &err);
 *     // d.verdict DATA_REPLACED, d.replaced_by "electric guitar", d.reason "violin fits rock poorly (0.04, ...)"
 *
 * Errors   Unknown genre or instrument: BL_EARG with the nearest name. Table: file and line.
 * Memory   _new and _load return a validator; release with data_validator_free (NULL allowed).
 */
#ifndef BL_DATA_VALIDATOR_H
#define BL_DATA_VALIDATOR_H

#include "data/dataset.h"

typedef struct data_validator data_validator;

typedef enum data_verdict { DATA_ACCEPTED, DATA_REPLACED, DATA_IGNORED } data_verdict;

/* What P(instrument | genre) is made of, and what it is held against. */
typedef struct data_evidence {
    double table;                /* weight in data/genre_instruments.ini                        */
    double count, songs;         /* songs of the genre with the instrument, and all of them     */
    double probability;          /* both together                                               */
    double threshold;
} data_evidence;

typedef struct data_decision {
    int          instrument;     /* as asked for                                                */
    data_verdict verdict;
    int          replaced_by;    /* id when DATA_REPLACED, else -1                              */
    double       probability;    /* P(instrument | genre)                                       */
    double       replacement_probability;
    char         reason[320];    /* one sentence with the numbers                               */
} data_decision;

typedef struct data_validate_options {
    double threshold;            /* 0 means the table's own (0.15)                              */
    int    force;                /* accept everything, and say what the validator thinks        */
    int    drop;                 /* ignore instead of replacing                                 */
    const int *kept;             /* [n_kept] ids that are accepted in any case; may be NULL     */
    int    n_kept;
} data_validate_options;

/* table_path NULL: data/genre_instruments.ini that comes with the program. */
data_validator *data_validator_new(const char *table_path, bl_error *err);
void            data_validator_free(data_validator *validator);

int data_validator_genres(const data_validator *validator);

/* Index of a genre (normalised, aliases known), -1 and BL_EARG with the nearest name. */
int data_validator_find_genre(const data_validator *validator, const char *genre, bl_error *err);

/* P(instrument | genre); genre as index. */
double data_validator_probability(const data_validator *validator, int genre, int instrument);

data_evidence data_validator_evidence(const data_validator *validator, int genre, int instrument);

/* Adds the counts of a dataset: instruments of metadata and stems, a song counts once. Genres the table does not know
 * are added with a flat prior. */
bl_status data_validator_learn(data_validator *validator, const data_dataset *dataset, bl_error *err);
/* Songs seen of a genre, and of those the ones with an instrument. */
double data_validator_songs(const data_validator *validator, int genre);
double data_validator_count(const data_validator *validator, int genre, int instrument);

/* One instrument. taken [n_taken]: ids already in the band, which a replacement avoids; may be NULL. */
data_decision data_validator_decide(const data_validator *validator, int genre, int instrument, const int *taken,
                                    int n_taken, const data_validate_options *options);

/* A whole list, in order; decisions [n]. A replacement never doubles an instrument of the list. */
void data_validator_decide_all(const data_validator *validator, int genre, const int *instruments, int n,
                               const data_validate_options *options, data_decision *decisions);

/* The genre's usual band when the user names none: the table's `default` line, checked against the counts (an
 * instrument that fell below the threshold is left out). Returns how many, at most max. */
int data_validator_defaults(const data_validator *validator, int genre, int *instruments, int max);

/* Counts, as the checkpoint "validator". Loading also reads the table (NULL: the usual one). */
bl_status       data_validator_save(const data_validator *validator, const char *path, bl_error *err);
data_validator *data_validator_load(const char *path, const char *table_path, bl_error *err);

#endif
