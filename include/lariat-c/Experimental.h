/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * For measurements and for work on the runtime itself, by the rules of Runtime.h: engines as others build them,
 * requests whose exits are given, schedules that are recorded and replayed. Anything here may change or go with any
 * version.
 */

#ifndef LARIAT_C_EXPERIMENTAL_H
#define LARIAT_C_EXPERIMENTAL_H

#include "lariat-c/Runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lariat_engine_experiment {
  size_t struct_size;
  int32_t refills;     /* 1 (default); 0: rows enter only when the loop is empty, as in engines that batch by token */
  int32_t splits_loop; /* 1 (default); 0: rows that enter together run all loop steps in one call */
  int32_t record;      /* 1: records for lariat_experimental_engine_schedule; 0 (default): does not */
  const char *replay;  /* a recorded schedule, executed again with the requests of the recording; null: none */
} lariat_engine_experiment;

void lariat_engine_experiment_init(lariat_engine_experiment *experiment, size_t struct_size);

/* As lariat_engine_open, for an experiment; `options` and `experiment` may be null. Functions of engines take it. */
lariat_status lariat_experimental_engine_open(lariat_session *session, const lariat_engine_options *options,
                                              const lariat_engine_experiment *experiment, lariat_engine **engine,
                                              char **error);

/* As lariat_engine_submit, to such an engine. A row at position p runs at most depths[p % num_depths] loop steps, which
 * changes what the model computes; null: no bound. An error from an engine that does not run step by step. */
lariat_status lariat_experimental_engine_submit(lariat_engine *engine, const lariat_batch *batch, const char *options,
                                                const int64_t *depths, int64_t num_depths, int64_t *first,
                                                char **error);

/* The schedule since the engine was opened, as JSON in UTF-8: plans and calls, tick by tick. An error unless it was
 * opened with `record`. The caller owns *text. */
lariat_status lariat_experimental_engine_schedule(lariat_engine *engine, char **text, char **error);

#ifdef __cplusplus
}
#endif

#endif /* LARIAT_C_EXPERIMENTAL_H */
