#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/setting/provider.h"

namespace remediate::setting {

/// One directive or section of a configuration file that is made of lines.
struct Directive {
  enum class Kind : std::uint8_t { directive, section } kind = Kind::directive;
  std::string name;                    // as written
  std::vector<std::string> arguments;  // quotes and continued lines resolved
  std::vector<std::string> inside;     // headings of the sections around it, outermost first
  std::size_t begin = 0;               // whole lines; a section ends with its closing line
  std::size_t end = 0;
  std::size_t values_begin = 0;  // what follows the name, without the white space around it
  std::size_t values_end = 0;
  std::size_t line = 0;  // 1-based
  std::string key;       // what it sets: two with one key and one place contradict each other
  std::string address;   // unique in the file; secrets replaced
};

struct DirectiveFile {
  std::string bytes;
  std::vector<Directive> directives;  // in file order, a section before what is in it
  std::vector<std::size_t> lines;     // where each physical line begins
};

inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// How one family of files is written. Stateless.
struct Grammar {
  std::string_view provider;   // "apache-htaccess"
  std::string_view file_name;  // the only one that such settings are edited in
  bool sections = false;       // are settings of their own
  bool ignore_case = false;    // of names
  bool skips_mark = false;     // a byte order mark at the start of the file
  /// bad_input, with the line, for what the server itself would not take.
  Result<DirectiveFile> (*parse)(std::string_view bytes) = nullptr;
  /// `value` as one argument, quoted where it must be; bad_input for what cannot be written.
  Result<std::string> (*write_argument)(std::string_view value) = nullptr;
};
[[nodiscard]] const Grammar& htaccess_grammar();
[[nodiscard]] const Grammar& user_ini_grammar();

/// The value of an argument that must not be shown.
[[nodiscard]] bool is_secret(const Directive& directive);
/// The arguments after the first `skip`, one space between them.
[[nodiscard]] std::string joined(const std::vector<std::string>& parts, std::string_view between,
                                 std::size_t skip = 0);
/// Keys and addresses of a file whose directives are all known.
void name_directives(DirectiveFile& file, const Grammar& grammar);

[[nodiscard]] Result<std::vector<Setting>> find_directives(const Grammar& grammar,
                                                           std::string_view file,
                                                           const Query& query);
[[nodiscard]] Result<Edited> edit_directives(const Grammar& grammar, std::string_view file,
                                             const std::vector<Edit>& edits);
[[nodiscard]] Result<Edited> undo_directives(const Grammar& grammar, std::string_view before,
                                             std::string_view after, std::string_view current);
[[nodiscard]] std::vector<Difference> compare_directives(const DirectiveFile& a,
                                                         const DirectiveFile& b);
/// The whole file for a person; secrets that differ from `earlier` are marked as changed.
[[nodiscard]] std::string redact_directives(const DirectiveFile& file,
                                            const DirectiveFile* earlier = nullptr);
/// The outcome of an edit, from both versions parsed.
[[nodiscard]] Edited describe_edit(const DirectiveFile& before, const DirectiveFile& after);

}  // namespace remediate::setting
