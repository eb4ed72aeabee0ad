#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace remediate::playbook {

enum class Spelling : std::uint8_t { windows, posix };

/// A path as a playbook spells it: "%ExchangeInstallPath%FrontEnd\\HttpProxy", "/var/www".
struct SpelledPath {
  std::string text;
  Spelling spelling = Spelling::posix;
};

/// A folder and the files below it that indicators look at. Globs are relative to the folder:
/// '*' and '?' stay within a component, '**' spans any number, '{a,b}' and '[a-z]' as usual.
/// Separators are '/' in the model, whatever the playbook wrote.
struct Scope {
  std::string id;
  std::vector<SpelledPath> folders;  // alternatives: each one that exists is searched
  std::vector<std::string> include;  // never empty
  std::vector<std::string> exclude;
  bool ignore_case = false;  // Windows spelling: true unless the playbook says otherwise
};

enum class Encoding : std::uint8_t { ascii, utf16le };

struct AttributeTest {
  std::string name;
  std::optional<std::string> equals;
  std::optional<std::string> matches;
  bool absent = false;
  bool ignore_case = true;
};

/// A node of an indicator's match tree. Which fields are used depends on `kind`.
struct Condition {
  enum class Kind : std::uint8_t {
    all,
    any,
    negation,
    path,
    sha256,
    sha1,
    md5,
    size,
    magic,
    regex,
    yara,
    structure
  };
  Kind kind = Kind::all;
  std::vector<Condition> children;      // all, any: one or more; negation: one
  std::vector<std::string> values;      // path: globs below the scope; digests: lower-case hex
  std::uint64_t min_size = 0;           // size
  std::uint64_t max_size = UINT64_MAX;  // size
  std::uint64_t offset = 0;             // magic
  std::string bytes;                    // magic: raw bytes
  std::string pattern;                  // regex: RE2 syntax over bytes, '.' matches newline
  bool ignore_case = false;             // regex
  std::vector<Encoding> encodings;      // regex: never empty
  std::string rules;                    // yara: rule source text
  std::int64_t min_score = 0;           // yara: rules whose meta `score` is lower do not count
  std::string structure;                // "exchange-vdir-dump"
  bool script_in_url = false;           // structure
};

/// Settings of configuration files; the fields mirror setting::Query.
struct SettingCondition {
  std::string provider;              // "iis-xml", "apache-htaccess", "php-user-ini" or
                                     // "exchange-directory"
  std::vector<SpelledPath> files;    // of files; alternatives: each one that exists is read;
                                     // empty: every file of the indicator's scopes
  std::vector<std::string> servers;  // of a directory; empty: all
  std::string kind;
  std::string path;
  std::vector<AttributeTest> where;
};

enum class Authorises : std::uint8_t { review, remove };

struct Source {
  std::string format;  // "playbook", "stix", "misp" ...
  std::string id;
  std::string object;
};

struct Indicator {
  std::string id;
  std::string name;
  std::vector<std::string> scopes;  // ids of Scope; empty for settings of named files
  std::optional<Condition> match;   // files: exactly one of match and setting is set
  std::optional<SettingCondition> setting;
  std::vector<std::string> exclude_sha256;  // known good files that would match
  std::string confidence;                   // "low", "medium", "high"
  Authorises authorises = Authorises::review;
  std::optional<Source> source;
};

enum class Action : std::uint8_t { quarantine, reset_setting, replace_file, instruct };

struct Change {
  /// remove_element, remove_attribute, set_attribute, reset_to_baseline, set_from_sibling
  std::string kind;
  std::string attribute;
  std::string value;
  std::optional<SpelledPath> baseline;  // reset_to_baseline: a clean copy on the host
  std::string sibling;                  // set_from_sibling: a server
};

/// What a file of that name holds when it is good. Names are compared as the scope does in which
/// the replaced file was found.
struct KnownGood {
  std::string name;
  std::vector<std::string> sha256;  // never empty: one for each version that was shipped
};

struct Step {
  std::string id;
  Action action = Action::instruct;
  std::vector<std::string> indicators;  // instruct: empty means always
  std::optional<Change> change;         // reset_setting
  std::vector<KnownGood> known_good;    // replace_file: never empty
  /// quarantine: folders where ASP.NET keeps what it compiled; each one that exists is searched
  std::vector<SpelledPath> compiled;
  std::string text;   // instruct
  bool wait = false;  // instruct: apply stands still here until it is resumed
};

struct Reference {
  std::string source;
  std::string url;  // may be empty
};

struct Variable {
  std::string name;                 // without the percent signs
  std::vector<std::string> values;  // candidates, each tried
};

/// A validated playbook: every id that is referred to exists, every guard of the format held.
struct Playbook {
  std::string id;  // playbook--UUID
  std::string name;
  std::string description;
  std::uint64_t revision = 0;
  std::string created;  // UTC
  std::string modified;
  std::string valid_until;  // empty: no end
  bool revoked = false;
  std::string author;
  std::string tlp;
  std::vector<Reference> references;
  std::vector<std::string> attack;
  std::uint64_t max_file_size = 16u << 20;  // larger files are reported, not read
  std::vector<Variable> variables;
  std::vector<Scope> scopes;
  std::vector<Indicator> indicators;
  std::vector<Step> steps;

  std::string file;    // where it was read from, for messages
  std::string sha256;  // of the file's bytes
  std::string signer;  // fingerprint of who signed these bytes; empty: nobody was asked for
};

}  // namespace remediate::playbook
