#pragma once

#include <cstdint>
#include <string_view>

#include "remediate/playbook/model.h"

namespace remediate::playbook {

/// What one way in which a condition is true says about a file.
enum class Rests : std::uint8_t {
  nothing,  // a size, a type of file, what it lacks
  place,    // a glob that names a file or a folder
  content,  // generic content: an expression, a YARA rule, bytes at an offset
  exact     // a digest, a structure, or content in a named place
};

/// What two conditions say that are both true.
[[nodiscard]] Rests together(Rests a, Rests b);

/// True for a glob of which a component names a folder or a file, beyond its type: "**/uploads/**",
/// "**/shell-*.php". Each of its alternatives has to. docs/playbook-reference.md has the rule.
[[nodiscard]] bool names_a_place(std::string_view glob);

/// True when there is a way to match that rests on generic content alone.
[[nodiscard]] bool may_rest_on_generic_content(const Condition& condition);
/// True when a file can only match through what is in it. A path or a size never says so.
[[nodiscard]] bool has_evidence(const Condition& condition);
/// Fewer bytes at an offset occur by chance and are no evidence.
inline constexpr std::size_t least_magic = 2;

}  // namespace remediate::playbook
