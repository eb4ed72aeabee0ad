#include "remediate/base/raw_path.h"

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate {
namespace {

constexpr std::size_t kMaxComponent = 255;

std::unexpected<Error> bad_name(std::string_view name, const std::string& why) {
  return fail(Code::bad_input, "the name \"" + remediate::display(name, 200) + "\" " + why,
              "give names without \".\", \"..\", empty parts, '/' or NUL, of at most 255 bytes");
}

}  // namespace

Result<void> RawPath::check_component(std::string_view name) {
  if (name.empty()) return bad_name(name, "is empty");
  if (name == "." || name == "..") return bad_name(name, "stands for a folder, it is not a name");
  if (name.size() > kMaxComponent) {
    return bad_name(name, "is " + std::to_string(name.size()) + " bytes long");
  }
  if (name.find('/') != std::string_view::npos) return bad_name(name, "contains '/'");
  if (name.find('\0') != std::string_view::npos) return bad_name(name, "contains a NUL byte");
  return {};
}

Result<RawPath> RawPath::parse(std::string_view joined) {
  RawPath path;
  if (joined.empty()) return path;
  for (std::size_t at = 0;;) {
    const std::size_t slash = joined.find('/', at);
    const bool last = slash == std::string_view::npos;
    auto valid = check_component(joined.substr(at, last ? slash : slash - at));
    if (!valid) {
      return std::unexpected(std::move(valid).error().wrapped(
          "the path \"" + remediate::display(joined, 400) + "\" is not usable"));
    }
    if (last) break;
    at = slash + 1;
  }
  path.joined_ = joined;
  return path;
}

Result<RawPath> RawPath::child(std::string_view name) const {
  TRY(check_component(name));
  RawPath path = *this;
  if (!path.joined_.empty()) path.joined_ += '/';
  path.joined_ += name;
  return path;
}

std::string_view RawPath::name() const {
  const std::string_view all = joined_;
  const std::size_t slash = all.rfind('/');
  return slash == std::string_view::npos ? all : all.substr(slash + 1);
}

RawPath RawPath::parent() const {
  RawPath path;
  const std::size_t slash = joined_.rfind('/');
  if (slash != std::string::npos) path.joined_ = joined_.substr(0, slash);
  return path;
}

std::vector<std::string_view> RawPath::components() const {
  std::vector<std::string_view> parts;
  std::string_view rest = joined_;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    parts.push_back(rest.substr(0, slash));
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  return parts;
}

std::string RawPath::display() const { return remediate::display(joined_); }

bool RawPath::within(const RawPath& folder) const {
  if (folder.is_root() || joined_ == folder.joined_) return true;
  return joined_.starts_with(folder.joined_) && joined_[folder.joined_.size()] == '/';
}

}  // namespace remediate
