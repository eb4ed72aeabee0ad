#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/json.h"

namespace remediate::setting {

/// A condition on one attribute of an element; every given field must hold.
struct AttributeTest {
  std::string name;
  std::optional<std::string> equals;
  std::optional<std::string> matches;  // RE2 over the attribute's value, unanchored
  bool absent = false;                 // the attribute must not be there
  bool ignore_case = true;             // for `equals`
};

/// Which settings of one configuration file a playbook means.
struct Query {
  /// What kind of setting: for IIS XML site, application, virtualDirectory, location, handler,
  /// module, globalModule, isapiFilter, metadataKey, or element with `path`.
  std::string kind;
  /// For kind `element` only: "system.web/httpRuntime", names separated by '/', below the root
  /// element `configuration`; inside <location> elements too.
  std::string path;
  std::vector<AttributeTest> where;
};

enum class ChangeKind : std::uint8_t {
  remove_element,
  remove_attribute,
  set_attribute,
  reset_to_baseline
};

/// What to do with a setting that a query found.
struct Change {
  ChangeKind kind = ChangeKind::remove_element;
  std::string
      attribute;  // remove_attribute, set_attribute, reset_to_baseline (empty: the whole element)
  std::string value;     // set_attribute
  std::string baseline;  // reset_to_baseline: bytes of a clean copy of the whole file
};

/// One setting as it stands in a file. `address` finds it again in this and in later versions
/// of the file ("virtualDirectory[Default Web Site/:/x]"); it is unique in the file.
struct Setting {
  std::string kind;
  std::string address;
  std::size_t offset = 0;  // of its first byte in the file
  std::size_t line = 0;    // 1-based
  /// Attributes in file order with references resolved; secrets already replaced by "[secret]".
  std::vector<std::pair<std::string, std::string>> attributes;
  std::string reason;  // which tests held, for the plan
};

/// One planned change: a setting by address, and what is done to it.
struct Edit {
  std::string address;
  Change change;
};

/// The semantic difference between two versions of a file, in a canonical order; secrets redacted.
struct Difference {
  enum class Kind : std::uint8_t { removed, added, changed } kind;
  std::string address;
  std::string attribute;  // empty: the whole element
  std::string before;
  std::string after;
  bool operator==(const Difference&) const = default;
};

struct Edited {
  std::string bytes;  // the whole new file
  std::vector<Difference>
      differences;   // by parsing both versions again, never from the edit itself
  std::string diff;  // unified diff, display-safe, secrets redacted
};

/// Old versions of a configuration that the server keeps, each in a folder of its own, and of which
/// every change pushes out the oldest: evidence of when a setting appeared.
struct OldVersions {
  std::string what;    // "configuration history of IIS"
  std::string folder;  // of all of them, as Windows spells it
  std::string prefix;  // of the name of a version's folder; a number follows
  std::string file;    // in a version's folder
  bool operator==(const OldVersions&) const = default;
};

/// A file beside a configuration that may send the server to another place for it.
struct Redirector {
  std::string server;  // "IIS"
  std::string file;
};

/// How a setting has the server load code: by a name that another setting gives to a file, or from
/// a file. Removals go in this order, so that no setting is left without what it names.
enum class Loads : std::uint8_t { nothing, by_name, from_file };

/// A configuration family whose settings live in one file. Pure: bytes in, bytes out; no I/O.
/// Thread-safe. Every method refuses malformed input (bad_input, with line and column) and
/// leaves deciding what to do to the caller.
class FileProvider {
 public:
  virtual ~FileProvider() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;  // "iis-xml"
  /// Whether files of this name belong to the family: no other may be edited, whatever parses.
  [[nodiscard]] virtual bool owns(std::string_view file_name) const = 0;
  /// Every setting that `query` fits, in file order; empty when none does.
  [[nodiscard]] virtual Result<std::vector<Setting>> find(std::string_view file,
                                                          const Query& query) const = 0;
  /// Applies `edits` together. ambiguous when an address fits more than one setting, not_found
  /// when it fits none. Only bytes of the named settings change. Removing a virtual directory or
  /// an application also removes its <location> and customMetadata key; a site likewise.
  [[nodiscard]] virtual Result<Edited> edit(std::string_view file,
                                            const std::vector<Edit>& edits) const = 0;
  /// Three-way: takes the change from `before` to `after` back out of `current`. With current ==
  /// after the result is `before` byte for byte. Later edits elsewhere stay as they are. conflict,
  /// naming the setting, when one that we changed was changed again since.
  [[nodiscard]] virtual Result<Edited> undo(std::string_view before, std::string_view after,
                                            std::string_view current) const = 0;
  /// What differs in meaning between two versions.
  [[nodiscard]] virtual Result<std::vector<Difference>> compare(std::string_view a,
                                                                std::string_view b) const = 0;
  /// The file for a person: secrets redacted, display-safe.
  [[nodiscard]] virtual Result<std::string> redact(std::string_view file) const = 0;

  // What only some families have.

  /// Its files lie in folders of the system, where no other family's belong.
  [[nodiscard]] virtual bool in_system_folders() const { return false; }
  /// What an edit of a file of this name pushes out.
  [[nodiscard]] virtual std::optional<OldVersions> old_versions(std::string_view) const {
    return std::nullopt;
  }
  [[nodiscard]] virtual Loads loads(std::string_view /*kind*/) const { return Loads::nothing; }
  /// Of a file of this name.
  [[nodiscard]] virtual std::optional<Redirector> redirector(std::string_view) const {
    return std::nullopt;
  }
  /// Where the bytes of a redirector send the server; nothing when to no other place. bad_input
  /// when they cannot be understood.
  [[nodiscard]] virtual Result<std::optional<std::string>> redirected_to(std::string_view) const {
    return std::nullopt;
  }
};

[[nodiscard]] std::unique_ptr<FileProvider> make_iis_xml_provider();
/// By name; nothing for a name no provider has.
[[nodiscard]] const FileProvider* find_provider(std::string_view name);
/// The one that owns files of this name; nothing where none does.
[[nodiscard]] const FileProvider* provider_of(std::string_view file_name);
[[nodiscard]] std::vector<std::string> provider_names();

}  // namespace remediate::setting
