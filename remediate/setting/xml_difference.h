#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "remediate/setting/iis_model.h"
#include "remediate/setting/provider.h"

namespace remediate::setting {

/// For each of `from` (siblings in `a`) the sibling among `to` (in `b`) that is the same
/// setting, or no_element. Twins of one identity are paired by equal meaning first, then in order.
[[nodiscard]] std::vector<std::uint32_t> pair_siblings(const Model& a,
                                                       std::span<const std::uint32_t> from,
                                                       const Model& b,
                                                       std::span<const std::uint32_t> to);

/// What differs in meaning, sorted by address, attribute and kind. An element that came or went
/// is one difference with all that is in it. Text has the attribute name "@text"; siblings that
/// changed places have "@order" at their parent (not below the root, where IIS gives order no
/// meaning). limit when there is too much to report.
[[nodiscard]] Result<std::vector<Difference>> difference_of(const Model& a, const Model& b);

/// Whether `b` differs from `a` only in ways in which `d` differs from `c`; secrets are compared
/// by their true values.
[[nodiscard]] Result<bool> differs_only_like(const Model& a, const Model& b, const Model& c,
                                             const Model& d);

}  // namespace remediate::setting
