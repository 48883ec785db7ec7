/* builtins.c: see builtins.h. */
#include "builtins.h"

#include <string.h>

static const Builtin table[] = {
#define BUILTIN(name, params, doc) {#name, params, doc},
#define UNARY(name, prim, doc) {#name, "x", doc},
#define PAIR(name, prim, doc) {#name, "x, y", doc},
#include "builtins.def"
#undef BUILTIN
#undef UNARY
#undef PAIR
};

static const char *const words[] = {"step",     "steps",    "epoch", "training", "batch", "batch_index", "pi",
                                    "inf",      "nan",      "none",  "zeros",    "ones",  "identity",    "same",
                                    "valid",    "example",  "fan_in", "fan_out", NULL};

static const char *const aliases[][2] = {
    {"Linear", "dense"},          {"linear", "dense"},        {"Dense", "dense"},
    {"fc", "dense"},              {"ReLU", "relu"},           {"LeakyReLU", "leaky_relu"},
    {"swish", "silu"},            {"SiLU", "silu"},           {"GELU", "gelu"},
    {"ELU", "elu"},               {"SELU", "selu"},           {"Sigmoid", "sigmoid"},
    {"Tanh", "tanh"},             {"Softmax", "softmax"},     {"LogSoftmax", "log_softmax"},
    {"Dropout", "dropout"},       {"Flatten", "flatten"},     {"BatchNorm1d", "batch_norm"},
    {"BatchNorm2d", "batch_norm"}, {"BatchNormalization", "batch_norm"}, {"LayerNorm", "layer_norm"},
    {"LayerNormalization", "layer_norm"}, {"GroupNorm", "group_norm"}, {"Conv2d", "conv2d"},
    {"Conv2D", "conv2d"},         {"Conv1d", "conv1d"},       {"MaxPool2d", "max_pool"},
    {"MaxPooling2D", "max_pool"}, {"maxpool", "max_pool"},    {"Embedding", "embedding"},
    {"LSTM", "lstm"},             {"GRU", "gru"},             {"CrossEntropyLoss", "cross_entropy"},
    {"crossentropy", "cross_entropy"}, {"categorical_crossentropy", "cross_entropy"},
    {"sparse_categorical_crossentropy", "cross_entropy"},     {"nll_loss", "cross_entropy"},
    {"MSELoss", "mse"},           {"mse_loss", "mse"},        {"mean_squared_error", "mse"},
    {"squared_error", "mse"},     {"l1_loss", "mae"},         {"L1Loss", "mae"},
    {"mean_absolute_error", "mae"}, {"smooth_l1_loss", "huber"}, {"BCELoss", "bce"},
    {"binary_crossentropy", "bce"}, {"binary_cross_entropy", "bce"}, {"BCEWithLogitsLoss", "bce_logits"},
    {"binary_cross_entropy_with_logits", "bce_logits"},       {"kl_div", "kl"},
    {"SGD", "sgd"},               {"Adam", "adam"},           {"AdamW", "adamw"},
    {"RMSprop", "rmsprop"},       {"Adagrad", "adagrad"},     {"glorot", "xavier"},
    {"glorot_normal", "xavier"},  {"xavier_normal", "xavier"}, {"glorot_uniform", "xavier_uniform"},
    {"kaiming", "he"},            {"kaiming_normal", "he"},   {"he_normal", "he"},
    {"kaiming_uniform", "he_uniform"}, {"lecun_normal", "lecun"}, {"randn", "normal"},
    {"rand", "uniform"},          {"arange", "0 .. n"},       {"matmul", "a @ b"},
    {"mm", "a @ b"},              {"bmm", "a @ b"},           {"cat", "concat"},
    {"concatenate", "concat"},    {"vstack", "stack"},        {"permute", "transpose"},
    {"view", "reshape"},          {"where", "select"},        {"clip", "clamp"},
    {"detach", "stop_gradient"},  {"unsqueeze", "expand"},    {"power", "pow"},
    {"ln", "log"},                {"tanh_", "tanh"},          {"relu6", "clamp"},
    {"CosineAnnealingLR", "cosine"}, {"StepLR", "step_decay"}, {"ExponentialLR", "exponential"},
    {"OneCycleLR", "one_cycle"},  {"isnan", "is_nan"},        {"isfinite", "is_finite"},
    {"normalize", "standardize"}, {"onehot", "one_hot"},      {"reduce_mean", "mean"},
    {"reduce_sum", "sum"},        {"global_average_pooling", "mean"}, {"no_grad", "stop_gradient"}};

const Builtin *builtin_get(BuiltinId id) { return &table[id]; }

const Builtin *builtin_find(const char *name) {
  for (uint32_t i = 0; i < BUILTIN_COUNT; i++) {
    if (!strcmp(table[i].name, name)) return &table[i];
  }
  return NULL;
}

bool builtin_param(const Builtin *b, uint32_t i, const char **name, uint32_t *length, bool *required, bool *rest) {
  const char *p = b->params;
  while (i--) {
    p = strchr(p, ',');
    if (!p) return false;
    p += 2;
  }
  *name = p;
  *length = (uint32_t)strcspn(p, "?.,");
  *required = p[*length] != '?';
  *rest = p[*length] == '.';
  return true;
}

const char *builtin_word_at(uint32_t n) { return words[n]; }

bool builtin_word(const char *name) {
  for (uint32_t i = 0; words[i]; i++) {
    if (!strcmp(words[i], name)) return true;
  }
  return false;
}

const char *builtin_alias(const char *name) {
  for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
    if (!strcmp(aliases[i][0], name)) return aliases[i][1];
  }
  return NULL;
}
