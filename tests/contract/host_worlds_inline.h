#pragma once

#include <catch2/catch.hpp>

namespace remediate::contract {

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

inline void must(Result<void> result) {
  if (!result) FAIL(result.error().text());
}

template <class T>
Code code_of(const Result<T>& result) {
  if (result) FAIL("succeeded, but an error was due");
  return result.error().code;
}

}  // namespace remediate::contract

namespace remediate {
/// Lets a failed comparison show the code's name.
inline std::ostream& operator<<(std::ostream& out, Code code) { return out << code_name(code); }
}  // namespace remediate
