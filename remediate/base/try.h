#pragma once

#include <utility>

#include "remediate/base/error.h"

// GCC 12 has std::expected without its monadic members; these two macros are
// the one way errors travel upwards.

#define REMEDIATE_JOIN2(a, b) a##b
#define REMEDIATE_JOIN(a, b) REMEDIATE_JOIN2(a, b)

/// TRY(expression): leaves the function with the error of a failed Result.
#define TRY(...)                                              \
  do {                                                        \
    if (auto try_result_ = (__VA_ARGS__); !try_result_)       \
      return std::unexpected(std::move(try_result_).error()); \
  } while (false)

/// TRY_LET(declaration, expression): declares the value or leaves with the error.
#define TRY_LET(declaration, ...) \
  TRY_LET_AS(REMEDIATE_JOIN(try_value_, __LINE__), declaration, __VA_ARGS__)
#define TRY_LET_AS(temporary, declaration, ...)                         \
  auto temporary = (__VA_ARGS__);                                       \
  if (!temporary) return std::unexpected(std::move(temporary).error()); \
  declaration = std::move(*temporary)
