/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * C interface of the runtime: open an artefact, score, encode, generate. Token ids only; text is the caller's business.
 *
 * Versions  lariat_runtime_version() says what the library is. Within a major version functions, members at the end of
 *           structures and enumerators are only added.
 * Handles   lariat_session, lariat_scores and lariat_generation are names of objects, not addresses to look at. Each is
 *           made by one function and ended by the `destroy` of its kind. A null handle, one that was destroyed or one
 *           of another kind is an error, never a crash. `destroy` of null does nothing.
 * Structs   The first member of every structure is its size, which the caller sets: for options by the `init` function
 *           of its kind, which gives everything its default; for results before the call. Every size that a version has
 *           had is taken: members that the caller does not know have their defaults, or are not written. Another size
 *           is an error.
 * Errors    Functions that can fail return a lariat_status, and, where `error` is not null and the status is not
 *           LARIAT_STATUS_OK, a new text of one sentence in *error that the caller frees with lariat_text_destroy.
 *           Results are not written then.
 * Ownership What is given to a function is read during the call only, unless it says otherwise. What a result points to
 *           belongs to the handle it came from and lasts until that is destroyed, unless it says otherwise.
 * Threads   Every function may be called from any thread. Requests of one session may run at the same time; calls of
 *           compiled code wait for each other. One generation is for one thread at a time: a second is an error.
 * Fork      In a child of a process that had a session open, every function but the `destroy`s, which do nothing, and
 *           lariat_runtime_version is an error. Start processes with exec, or fork before opening or after closing.
 * Stopping  A request ends with LARIAT_STATUS_STOPPED when its wants_stop says so, or after lariat_session_cancel. Both
 *           are looked at between calls of compiled code and, every 50 ms, between the kernels of one.
 * Callbacks A callback must not call functions of this interface with the session that it serves, directly or on
 *           another thread that it waits for; on its own thread that is an error.
 */

#ifndef LARIAT_C_RUNTIME_H
#define LARIAT_C_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LARIAT_RUNTIME_VERSION_MAJOR 1
#define LARIAT_RUNTIME_VERSION_MINOR 2

/* The result of a function. */
typedef enum lariat_status {
  LARIAT_STATUS_OK = 0,
  LARIAT_STATUS_MISUSE = 1,   /* this interface was used against its rules: a null handle, a wrong size, ... */
  LARIAT_STATUS_ARTEFACT = 2, /* the artefact is missing, damaged, or not for this machine or version */
  LARIAT_STATUS_REQUEST = 3,  /* options that do not exist, or a request that the model cannot answer */
  LARIAT_STATUS_STOPPED = 4,  /* a callback asked to stop, or the session was told to cancel */
  LARIAT_STATUS_MEMORY = 5    /* the system has no memory left */
} lariat_status;

typedef struct lariat_session lariat_session;
typedef struct lariat_scores lariat_scores;
typedef struct lariat_generation lariat_generation;

/* Version of the library, MAJOR << 16 | MINOR, which may be newer than this header. Also in a child of fork. */
uint32_t lariat_runtime_version(void);

/* Frees a text that a function gave to the caller. Null does nothing. */
void lariat_text_destroy(char *text);

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

typedef struct lariat_session_options {
  size_t struct_size;
  int64_t threads;        /* that compute; 0: one per core that the process may use. Results never depend on it */
  int64_t max_rows;       /* most rows of a call of compiled code, where a prompt may be cut (default: 512) */
  int64_t kv_bytes;       /* most bytes of keys and values of all sequences; 0: no limit */
  const char *isa;        /* as a manifest names it; null: the best that the artefact has and the machine runs */
  int32_t pin_threads;    /* 1: each thread stays on a processor (default); 0: the system moves them */
  int32_t verify_weights; /* 1: compares their checksum when this process first loads them (default); 0: does not */
  int32_t order;          /* lariat_order of the rows of a generation */
} lariat_session_options;

/* Gives the members in the first `struct_size` bytes, the caller's sizeof(lariat_session_options), their defaults. */
void lariat_session_options_init(lariat_session_options *options, size_t struct_size);

/* Opens the artefact at `path`, which runs its code: checksums find damage, not malice. `options` may be null. The
 * caller owns *session. */
lariat_status lariat_session_open(const char *path, const lariat_session_options *options, lariat_session **session,
                                  char **error);

/* Waits for a request that runs, then frees memory and threads. Every later request of the session is an error. */
lariat_status lariat_session_close(lariat_session *session, char **error);

/* Closes, and ends the handle. Generations keep what they have, and give an error when they are to go on. */
void lariat_session_destroy(lariat_session *session);

/* Ends all requests of the session that have begun and not ended, those that run within a moment: lariat_score,
 * lariat_encode and lariat_generate with LARIAT_STATUS_STOPPED, a generation at its next step; of an engine, the call
 * of compiled code that a tick runs is given up and its requests fail. Later requests are not affected. From any
 * thread, also from a handler of a signal: it takes no lock and allocates nothing. A null or destroyed handle is passed
 * over. */
void lariat_session_cancel(lariat_session *session);

/* The manifest as JSON, in UTF-8, also after closing. The caller owns *text. */
lariat_status lariat_session_manifest(lariat_session *session, char **text, char **error);

typedef struct lariat_session_info {
  size_t struct_size;
  int64_t threads;       /* number of threads that compute */
  int64_t state_columns; /* width of the initial state that the model takes; 0: it takes none */
  int64_t kv_live_bytes; /* bytes of the entries of all sequences, running or retained; shared entries count once */
  int64_t kv_page_bytes; /* bytes of the pages that hold these entries */
  char isa[32];          /* instruction set whose code runs */
  int64_t weight_bytes;  /* bytes of packed weights, mapped from their file */
  int64_t arena_bytes;   /* bytes of temporaries in the largest call so far; the next two likewise */
  int64_t cell_bytes;
  int64_t scratch_bytes; /* summed over threads */
} lariat_session_info;

lariat_status lariat_session_get_info(lariat_session *session, lariat_session_info *info, char **error);

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* Whether to stop a request. Called between calls of compiled code and now and then within one; anything but 0 ends the
 * request with LARIAT_STATUS_STOPPED. */
typedef int32_t (*lariat_stop_callback)(void *user);

/* The sequences of a request. */
typedef struct lariat_batch {
  size_t struct_size;
  const int64_t *tokens;  /* ids, the sequences one after the other */
  const int64_t *lengths; /* int64_t[num_sequences]: tokens of each sequence */
  int64_t num_sequences;
  const float *const *initial_states; /* per sequence float[length][state_columns]; null: zeros. Of lariat_score only */
  lariat_stop_callback wants_stop;    /* called on the thread of the request; null: it never stops */
  void *user;                         /* for wants_stop */
} lariat_batch;

void lariat_batch_init(lariat_batch *batch, size_t struct_size);

/* Options of a request are a JSON object in UTF-8, such as {"max_new_tokens": 16, "temperature": 0.7}. Null, and null
 * as the value of an option, stand for the default. An option that is not known is an error, and so is one of another
 * type. Names and meaning are those of lariat.ScoreOptions and lariat.GenerateOptions in Python
 * (python/lariat/requests.py).
 *
 * This is the table of them: [{"name": "loops", "calls": ["score", "generate"], "type": "an integer", "default": null,
 * "fast_only": false}].
 * The text is the library's. */
const char *lariat_request_options(void);

/* Computes the logits of every row of every sequence, all in one ragged batch. The caller owns *scores. */
lariat_status lariat_score(lariat_session *session, const lariat_batch *batch, const char *options,
                           lariat_scores **scores, char **error);

/* Computes the last state of every row of every sequence; encoders only. The caller owns *scores. */
lariat_status lariat_encode(lariat_session *session, const lariat_batch *batch, lariat_scores **scores, char **error);

/* One sequence of a result. Arrays are row-major and belong to the lariat_scores. */
typedef struct lariat_sequence_scores {
  size_t struct_size;
  int64_t num_rows;
  const float *logits; /* float[num_rows][num_logits]; null where the model has none */
  int64_t num_logits;
  const float *hidden; /* float[num_rows][num_hidden]; null where the model has none */
  int64_t num_hidden;
  const int32_t *steps; /* int32_t[num_rows]: loop steps that each row ran */
  const char *slots;    /* JSON: {cache: [layer][slot]{"computed", "filled"}}, numbers of entries */
} lariat_sequence_scores;

lariat_status lariat_scores_get(lariat_scores *scores, int64_t sequence, lariat_sequence_scores *result, char **error);
void lariat_scores_destroy(lariat_scores *scores);

/* ---- generation -------------------------------------------------------------------------------------------------- */

/* A new token. Log probabilities are of the model's own softmax: before penalties, temperature and truncation. Arrays
 * of this have no size in them, so it never changes within a major version. */
typedef struct lariat_token {
  int64_t sequence; /* index in the batch; of an engine, number of the request */
  int64_t id;
  int64_t steps;          /* loop steps that the row ran which chose it */
  double logprob;         /* natural logarithm; 0 unless "logprobs" asks for it */
  const int64_t *top_ids; /* the most likely tokens, num_top of them */
  const float *top_logprobs;
  int64_t num_top;
} lariat_token;

/* Checks a request and makes ready; nothing of the model runs yet. Everything given is copied, but wants_stop and its
 * `user`, which are used until the generation is destroyed. The caller owns *generation. */
lariat_status lariat_generation_start(lariat_session *session, const lariat_batch *batch, const char *options,
                                      lariat_generation **generation, char **error);

/* Runs until some sequences have got their next token, one each, by ascending sequence; *num_tokens is 0 when all are
 * finished. *tokens lasts until the next call of this. After an error, every call gives it again. */
lariat_status lariat_generation_next(lariat_generation *generation, const lariat_token **tokens, int64_t *num_tokens,
                                     char **error);

/* Ends one sequence; the others go on. */
lariat_status lariat_generation_stop(lariat_generation *generation, int64_t sequence, char **error);

/* Why a sequence ended. */
typedef enum lariat_finish {
  LARIAT_FINISH_NONE = 0,    /* it has not ended */
  LARIAT_FINISH_EOS = 1,     /* by a token that ends sequences */
  LARIAT_FINISH_LENGTH = 2,  /* it has max_new_tokens */
  LARIAT_FINISH_STOPPED = 3, /* by a callback, lariat_generation_stop or lariat_engine_cancel */
  LARIAT_FINISH_FAILED = 4   /* by an error; requests of an engine only */
} lariat_finish;

/* What a sequence has so far. Arrays last until the next lariat_generation_next. */
typedef struct lariat_sequence_tokens {
  size_t struct_size;
  const int64_t *ids;
  const int32_t *steps;
  int64_t num_tokens;
  int32_t finish;    /* lariat_finish */
  const char *slots; /* as in lariat_sequence_scores; null until it ended */
} lariat_sequence_tokens;

lariat_status lariat_generation_get(lariat_generation *generation, int64_t sequence, lariat_sequence_tokens *result,
                                    char **error);

/* What the batch did so far, as JSON in UTF-8; docs/profile.md lists the fields. An error unless it was started with
 * the option "profile". The caller owns *text. */
lariat_status lariat_generation_profile(lariat_generation *generation, char **text, char **error);
void lariat_generation_destroy(lariat_generation *generation);

/* What a token callback returns. */
enum {
  LARIAT_GO_ON = 0,
  LARIAT_STOP_SEQUENCE = 1, /* no more tokens of this token's sequence */
  LARIAT_STOP_ALL = 2       /* no more tokens at all */
};

/* Called with each token on the thread of the request; `token` lasts until it returns. */
typedef int32_t (*lariat_token_callback)(void *user, const lariat_token *token);

/* lariat_generation_start, then lariat_generation_next until all sequences have ended. The caller owns *generation,
 * which has the results. `on_token` may be null. */
lariat_status lariat_generate(lariat_session *session, const lariat_batch *batch, const char *options,
                              lariat_token_callback on_token, void *user, lariat_generation **generation, char **error);

/* ---- engine ------------------------------------------------------------------------------------------------------ */

/* Continuous depth-wise batching: requests come at any time, and each tick runs rows of any mix of requests and depths.
 * A request's tokens are those it gets alone. Submit and cancel from any thread; the rest from one thread at a time. */
typedef struct lariat_engine lariat_engine;

/* Which rows run first where not all fit a tick. */
typedef enum lariat_order {
  LARIAT_ORDER_OLDEST = 0, /* rows that came first; of those that came together, the deepest */
  LARIAT_ORDER_FIFO = 1,   /* rows that were ready first, so that all take turns */
  LARIAT_ORDER_DEEPEST = 2 /* rows that are deepest; of equal depth, those that came first */
} lariat_order;

/* How rows run a loop that can be split. */
typedef enum lariat_loop {
  LARIAT_LOOP_AUTO = 0, /* a row alone in one call, others step by step */
  LARIAT_LOOP_STEPS = 1 /* step by step */
} lariat_loop;

typedef struct lariat_engine_options {
  size_t struct_size;
  int64_t max_rows;     /* of a tick (default: 512) */
  int64_t chunk_rows;   /* of a prompt that enter together while others generate (default: 256) */
  int32_t order;        /* lariat_order */
  int32_t loop;         /* lariat_loop */
  const char *missing;  /* mode for entries that rows which exited lack, in all requests; null: as declared */
  int32_t profile;      /* 1: for lariat_engine_profile; 0 (default): it costs nothing */
  int32_t prefix_cache; /* 1 (default): requests begin with rows that others computed alike; 0: never */
  /* Asked during ticks; anything but 0 ends the tick, and the requests of the call that was given up fail. Null: never.
   * On the thread of the tick. */
  lariat_stop_callback wants_stop;
  void *user; /* for wants_stop */
} lariat_engine_options;

void lariat_engine_options_init(lariat_engine_options *options, size_t struct_size);

/* `options` may be null. The caller owns *engine, which keeps the session's model. */
lariat_status lariat_engine_open(lariat_session *session, const lariat_engine_options *options, lariat_engine **engine,
                                 char **error);

/* Queues a request per sequence, numbered from *first on; everything given is copied. `wants_stop` of the batch must be
 * null, and "missing" and "profile" are not among the options. */
lariat_status lariat_engine_submit(lariat_engine *engine, const lariat_batch *batch, const char *options,
                                   int64_t *first, char **error);

/* Ends a request before the next tick; nothing where it has ended. A call of compiled code that runs for cancelled
 * requests only is given up. A number that was never given is an error. */
lariat_status lariat_engine_cancel(lariat_engine *engine, int64_t request, char **error);

/* How a request ended. Arrays of this have no size in them. */
typedef struct lariat_request_end {
  int64_t request;
  int32_t finish;    /* lariat_finish */
  const char *error; /* one sentence for LARIAT_FINISH_FAILED, else empty */
} lariat_request_end;

/* Tokens and ends of requests that a tick brought. Arrays last until the next tick. */
typedef struct lariat_tick {
  size_t struct_size;
  const lariat_token *tokens;
  int64_t num_tokens;
  const lariat_request_end *ends;
  int64_t num_ends;
  int64_t num_unfinished; /* requests that have not ended */
} lariat_tick;

/* Runs one tick; without requests it does nothing. After LARIAT_STATUS_MEMORY an engine can only be destroyed. */
lariat_status lariat_engine_tick(lariat_engine *engine, lariat_tick *tick, char **error);

/* Calls of one function. */
typedef struct lariat_timing {
  int64_t calls;
  int64_t rows;
  int64_t prompt_rows; /* rows of prompts among them */
  double seconds;      /* of the wall clock */
} lariat_timing;

/* What an engine did since it was opened. */
typedef struct lariat_engine_counts {
  size_t struct_size;
  int64_t ticks;
  int64_t preemptions;   /* requests that were preempted and computed again what was lost of their rows */
  int64_t reused_rows;   /* rows that requests took over from others instead of computing them */
  int64_t drafted;       /* tokens that requests drafted */
  int64_t accepted;      /* drafted tokens that verification confirmed */
  int64_t kv_bytes_peak; /* largest bytes of pages of all sequences, at the end of a tick */
  lariat_timing prelude, core, fill, coda;
  lariat_timing whole; /* rows that ran all their steps in one call */
} lariat_engine_counts;

lariat_status lariat_engine_get_counts(lariat_engine *engine, lariat_engine_counts *counts, char **error);

/* The profile since the engine was opened, as JSON in UTF-8; docs/profile.md lists the fields. An error unless the
 * engine was opened with `profile`. The caller owns *text. */
lariat_status lariat_engine_profile(lariat_engine *engine, char **text, char **error);
/* Frees the pages of requests that ended, which are retained for later requests that begin with the same rows. */
lariat_status lariat_engine_clear_prefixes(lariat_engine *engine, char **error);
void lariat_engine_destroy(lariat_engine *engine);

#ifdef __cplusplus
}
#endif

#endif /* LARIAT_C_RUNTIME_H */
