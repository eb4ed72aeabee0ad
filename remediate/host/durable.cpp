#include "remediate/host/durable.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::host {
namespace {

constexpr int max_temporary_names = 1000;

Result<void> fill(File& file, const Directory& directory, std::string_view name,
                  std::string_view bytes) {
  TRY(file.write_at(0, bytes));
  TRY(file.sync());
  TRY_LET(const FileStat facts, file.stat());
  if (facts.size == bytes.size()) return {};
  return fail(Code::io, "cannot write " + directory.location() + "/" + display(name) + ": " +
                            std::to_string(facts.size) + " of " + std::to_string(bytes.size()) +
                            " bytes arrived");
}

/// Runs `take` with names that nobody uses until one is free.
template <class Take>
Result<std::string> take_temporary_name(const Directory& directory, Take take) {
  for (int number = 0; number < max_temporary_names; ++number) {
    std::string name = ".writing-" + std::to_string(number);
    Result<void> taken = take(name);
    if (taken) return name;
    if (taken.error().code != Code::already_exists) {
      return std::unexpected(std::move(taken).error());
    }
  }
  return fail(Code::limit, "too many unfinished files (.writing-*) in " + directory.location(),
              "make sure that no instance is running, then remove them");
}

Result<std::string> write_temporary(const Directory& directory, std::string_view name,
                                    std::string_view bytes, std::uint32_t mode) {
  std::unique_ptr<File> file;
  TRY_LET(std::string temporary,
          take_temporary_name(directory, [&](const std::string& free) -> Result<void> {
            TRY_LET(file, directory.create_file(free, mode));
            return {};
          }));
  if (auto filled = fill(*file, directory, name, bytes); !filled) {
    if (auto removed = directory.remove_file(temporary); !removed) {
      filled.error().causes.push_back(removed.error().message);
    }
    return std::unexpected(std::move(filled).error());
  }
  return temporary;
}

}  // namespace

Result<void> write_durable(const Directory& directory, std::string_view name,
                           std::string_view bytes, std::uint32_t mode) {
  TRY(RawPath::check_component(name));
  std::string temporary;
  auto unnamed = directory.create_unnamed(mode);
  if (unnamed) {
    File& file = **unnamed;
    TRY(fill(file, directory, name, bytes));
    auto linked = directory.link_file(file, name);
    if (linked) return directory.sync();
    if (linked.error().code != Code::already_exists) return linked;
    TRY_LET(temporary, take_temporary_name(directory, [&](const std::string& free) {
              return directory.link_file(file, free);
            }));
  } else if (unnamed.error().code == Code::unsupported) {
    TRY_LET(temporary, write_temporary(directory, name, bytes, mode));
  } else {
    return std::unexpected(std::move(unnamed).error());
  }
  if (auto replaced = directory.replace(temporary, name); !replaced) {
    if (auto removed = directory.remove_file(temporary); !removed) {
      replaced.error().causes.push_back(removed.error().message);
    }
    return replaced;
  }
  return directory.sync();
}

Result<std::string> read_whole(const File& file, std::uint64_t max_bytes) {
  TRY_LET(const FileStat facts, file.stat());
  const auto too_large = [&](std::uint64_t size) {
    return fail(Code::limit, "the file is larger than allowed: " + std::to_string(size) +
                                 " bytes, at most " + std::to_string(max_bytes));
  };
  if (facts.size > max_bytes) return too_large(facts.size);
  constexpr std::size_t step = 64u << 10;
  std::string bytes(static_cast<std::size_t>(facts.size) + 1, '\0');
  std::size_t filled = 0;
  for (;;) {
    if (filled == bytes.size()) bytes.resize(bytes.size() + step);
    TRY_LET(const std::size_t length,
            file.read_at(filled, std::span(bytes.data() + filled, bytes.size() - filled)));
    if (length == 0) break;
    filled += length;
    if (filled > max_bytes) return too_large(filled);  // it grew while being read
  }
  bytes.resize(filled);
  return bytes;
}

Result<std::string> read_whole(const Directory& directory, std::string_view name,
                               std::uint64_t max_bytes) {
  TRY_LET(const std::unique_ptr<File> file, directory.open_file(name, Access::read));
  auto bytes = read_whole(*file, max_bytes);
  if (!bytes) {
    return std::unexpected(std::move(bytes).error().wrapped("cannot read " + directory.location() +
                                                            "/" + display(name)));
  }
  return bytes;
}

Result<std::unique_ptr<Directory>> ensure_directory(const Directory& directory,
                                                    std::string_view name, std::uint32_t mode) {
  TRY_LET(const RawPath path, RawPath().child(name));
  auto opened = directory.open_directory(path, Mounts::stay);
  if (opened || opened.error().code != Code::not_found) return opened;
  auto made = directory.make_directory(name, mode);
  if (!made && made.error().code != Code::already_exists) {
    return std::unexpected(std::move(made).error());
  }
  TRY(directory.sync());
  return directory.open_directory(path, Mounts::stay);
}

Result<std::size_t> FileSource::read(std::span<char> into) {
  TRY_LET(const std::size_t length, file_.read_at(offset_, into));
  offset_ += length;
  return length;
}

Result<void> FileSink::write(std::string_view bytes) {
  TRY(file_.write_at(offset_, bytes));
  offset_ += bytes.size();
  return {};
}

}  // namespace remediate::host
