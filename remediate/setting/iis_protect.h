#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "remediate/setting/iis_model.h"

namespace remediate::setting {

/// A hardening that no edit may take away or weaken: Extended Protection that is on, URL Rewrite
/// rules by which Microsoft's tools hold off known attacks, and the module that obeys them. Its
/// name in words; nothing for every other element.
[[nodiscard]] std::optional<std::string> hardening_of(const Model& model, std::uint32_t element);

/// The first hardening at `element` or inside it; no_element where there is none.
[[nodiscard]] std::uint32_t first_hardening(const Model& model, std::uint32_t element);

/// True when `after` protects at least as much as `before`, both being the same kind of hardening.
[[nodiscard]] bool keeps_hardening(const Model& model_before, std::uint32_t before,
                                   const Model& model_after, std::uint32_t after);

/// The path of the file that the configuration is really in, by a redirection.config: "on, to
/// PATH". Nothing when no redirection is active. bad_input when the file cannot be understood.
[[nodiscard]] Result<std::optional<std::string>> redirection_of(std::string_view bytes);

}  // namespace remediate::setting
