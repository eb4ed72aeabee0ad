#pragma once

#include "rich_world.h"

namespace remediate::run::test {

/// A change of one value in a document.
struct Mutation {
  std::string place;  // JSON pointer with "*" for places in arrays
  std::string what;   // "missing", "other type", "other value"
  Json document;
};
/// One of each kind for each place.
[[nodiscard]] std::vector<Mutation> mutations(const Json& document);

/// Somebody who has the store's signing key rewrites what it says of one run; everything is bound
/// and signed anew, so that only what the documents say can tell.
class Forger {
 public:
  Forger(World& world, std::string run);

  [[nodiscard]] const Json& manifest() const { return manifest_; }
  [[nodiscard]] const std::vector<journal::Record>& records() const { return records_; }
  void write_manifest(const Json& manifest);
  /// Chains them; the manifest is bound to them, and they to it.
  void write_journal(std::vector<journal::Record> records);
  /// The document of the signed head as it is, and another one.
  [[nodiscard]] Json head() const;
  void write_head(const Json& head);
  void write_text(const std::string& path, const std::string& bytes);  // below the store
  [[nodiscard]] std::string read(const std::string& path) const;
  void sign(const std::string& path);
  /// Everything as it was.
  void undo();

 private:
  [[nodiscard]] std::string head_name() const;
  void bind(const Json& manifest, std::vector<journal::Record> records);
  World& world_;
  std::string run_;
  Json manifest_;
  std::vector<journal::Record> records_;
  std::map<std::string, std::string> before_;
};

}  // namespace remediate::run::test
