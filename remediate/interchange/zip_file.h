#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "remediate/host/host.h"

namespace remediate::interchange {

/// A zip archive with traditional encryption and the password "infected"; private to
/// interchange/. Without keep() nothing is left of it.
class ZipFile {
 public:
  /// already_exists when there is something at `path`. `time` is what its entries carry.
  [[nodiscard]] static Result<std::unique_ptr<ZipFile>> create(host::Host& host,
                                                               const std::string& path,
                                                               Timestamp time);
  ~ZipFile();
  ZipFile(const ZipFile&) = delete;
  ZipFile& operator=(const ZipFile&) = delete;

  /// Adds the bytes of a file; changed when they do not have that digest.
  [[nodiscard]] Result<void> add(const std::string& name, const host::File& file,
                                 const std::string& sha256);
  [[nodiscard]] Result<void> add_text(const std::string& name, std::string_view text);
  /// Ends the archive and gives it its name, never over another file. Durable when it returns.
  [[nodiscard]] Result<void> keep();

 private:
  struct State;
  explicit ZipFile(std::unique_ptr<State> state);
  using Block = std::function<Result<void>(std::string_view)>;
  using Feed = std::function<Result<void>(const Block& take)>;
  [[nodiscard]] Result<void> write_entry(const std::string& name, std::uint64_t size,
                                         unsigned long checksum, const Feed& feed);
  [[nodiscard]] Error broken(std::string_view verb) const;
  std::unique_ptr<State> state_;
};

}  // namespace remediate::interchange
