#pragma once

#include <string>
#include <string_view>

#include "remediate/setting/iis_model.h"

namespace remediate::setting {

inline constexpr std::string_view secret_mark = "[secret]";
inline constexpr std::string_view changed_secret_mark = "[secret, changed]";

/// By a name alone (password, token, connectionString ...), or by what a value looks like.
[[nodiscard]] bool sounds_secret(std::string_view name);
[[nodiscard]] bool looks_secret(std::string_view value);
/// What looks like a secret in text that has no attributes to go by, replaced.
[[nodiscard]] std::string mask_loose_text(std::string_view text);
/// Lines made display-safe; they end with LF, a byte order mark is left out.
[[nodiscard]] std::string display_lines(std::string_view text);

/// Whether every value inside this element is secret (configProtectedData, encrypted sections).
[[nodiscard]] bool opens_secret_zone(const ModelElement& element);
/// Generous: by the attribute's name, by the name or key beside it, and by the value itself.
[[nodiscard]] bool is_secret_attribute(const ModelElement& element, std::string_view name,
                                       std::string_view value);
[[nodiscard]] bool is_secret_text(const ModelElement& element);

/// The element and what is in it as one line of XML for a person, secrets replaced, cut after
/// about `max_bytes`.
[[nodiscard]] std::string describe_element(const Model& model, std::uint32_t element,
                                           std::size_t max_bytes = 2000);

/// The whole file for a person: secrets replaced, also those in comments, and lines made
/// display-safe; lines end with LF, the byte order mark is left out. With `earlier`, secrets that
/// differ from it are marked as changed.
[[nodiscard]] std::string redact_document(const Document& document, const Model* earlier = nullptr);

}  // namespace remediate::setting
