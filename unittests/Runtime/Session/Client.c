/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The C interface from C: scores, then generates with a callback. `LariatCClient ARTEFACT ID...` prints the most likely
 * token of each row, then three new tokens.
 */

#include "lariat-c/Runtime.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t find_best(const float *logits, int64_t count) {
  int64_t best = 0;
  for (int64_t id = 1; id < count; ++id)
    if (logits[id] > logits[best])
      best = id;
  return best;
}

static int32_t print_token(void *user, const lariat_token *token) {
  int *num_tokens = user;
  printf(" %lld", (long long)token->id);
  return ++*num_tokens == 3 ? LARIAT_STOP_ALL : LARIAT_GO_ON;
}

static void check(lariat_status status, char *error) {
  if (status == LARIAT_STATUS_OK)
    return;
  fprintf(stderr, "error %d: %s\n", (int)status, error);
  lariat_text_destroy(error);
  exit(1);
}

int main(int argc, char **argv) {
  char *error = NULL;
  int64_t ids[64], length = 0;
  for (int argument = 2; argument < argc && length < 64; ++argument)
    ids[length++] = strtoll(argv[argument], NULL, 10);
  if (argc < 2 || lariat_runtime_version() >> 16 != LARIAT_RUNTIME_VERSION_MAJOR)
    return 2;

  lariat_session_options options;
  lariat_session_options_init(&options, sizeof options);
  options.threads = 1;
  lariat_session *session = NULL;
  check(lariat_session_open(argv[1], &options, &session, &error), error);

  lariat_batch batch;
  lariat_batch_init(&batch, sizeof batch);
  batch.tokens = ids;
  batch.lengths = &length;
  batch.num_sequences = 1;
  lariat_scores *scores = NULL;
  check(lariat_score(session, &batch, NULL, &scores, &error), error);
  lariat_sequence_scores score;
  score.struct_size = sizeof score;
  check(lariat_scores_get(scores, 0, &score, &error), error);
  for (int64_t row = 0; row < score.num_rows; ++row)
    printf(" %lld", (long long)find_best(score.logits + row * score.num_logits, score.num_logits));
  printf(" |");
  lariat_scores_destroy(scores);

  int num_tokens = 0;
  lariat_generation *generation = NULL;
  check(lariat_generate(session, &batch, NULL, print_token, &num_tokens, &generation, &error), error);
  lariat_generation_destroy(generation);
  lariat_session_destroy(session);
  printf("\n");
  return 0;
}
