#pragma once

#include <string>
#include <string_view>

namespace property {

/// A folder held open by its descriptor, so that paths below it may be longer than the system's
/// limit. Everything here throws std::runtime_error naming the path.
class Folder {
 public:
  explicit Folder(const std::string& root);
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  Folder(Folder&& other) noexcept;
  ~Folder();

  /// A folder below, component by component; links are not followed.
  [[nodiscard]] Folder open(std::string_view path) const;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  explicit Folder(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// An entry below a folder as the pair that system calls take, and opened for reading.
class Place {
 public:
  Place(const Folder& root, std::string_view path);
  [[nodiscard]] int folder() const { return folder_.get(); }
  [[nodiscard]] const char* name() const { return name_.c_str(); }

 private:
  Folder folder_;
  std::string name_;
};

class File {
 public:
  File(const Place& place, int flags, unsigned mode = 0600);
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// Throws "what: errno's text" when `result` is not 0.
void check(int result, std::string_view what);

}  // namespace property
