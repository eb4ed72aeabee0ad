#include "remediate/interchange/zip_file.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <limits>
#include <span>
#include <utility>

#include <minizip/zip.h>
#include <zlib.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"

namespace remediate::interchange {
namespace {

constexpr const char* password = "infected";
constexpr std::uint64_t zip64_from = 0xff000000;  // leaves room for what does not compress
constexpr std::size_t block_bytes = 64u << 10;

/// The archive's bytes go to a host::File; the first failure is kept, minizip knows only "failed".
struct Output {
  std::unique_ptr<host::File> file;
  std::uint64_t position = 0;
  std::uint64_t size = 0;
  Error error;
  bool failed = false;
};

Output& output(voidpf opaque) { return *static_cast<Output*>(opaque); }

voidpf open_output(voidpf opaque, const void*, int) { return opaque; }

uLong read_output(voidpf opaque, voidpf, void* buffer, uLong size) {
  Output& out = output(opaque);
  auto got = out.file->read_at(out.position, std::span(static_cast<char*>(buffer), size));
  if (!got) {
    out.error = std::move(got).error();
    out.failed = true;
    return 0;
  }
  out.position += *got;
  return static_cast<uLong>(*got);
}

uLong write_output(voidpf opaque, voidpf, const void* buffer, uLong size) {
  Output& out = output(opaque);
  if (out.failed) return 0;
  if (auto written = out.file->write_at(out.position,
                                        std::string_view(static_cast<const char*>(buffer), size));
      !written) {
    out.error = std::move(written).error();
    out.failed = true;
    return 0;
  }
  out.position += size;
  out.size = std::max(out.size, out.position);
  return size;
}

ZPOS64_T tell_output(voidpf opaque, voidpf) { return output(opaque).position; }

long seek_output(voidpf opaque, voidpf, ZPOS64_T offset, int origin) {
  Output& out = output(opaque);
  if (origin == ZLIB_FILEFUNC_SEEK_SET) out.position = offset;
  if (origin == ZLIB_FILEFUNC_SEEK_CUR) out.position += offset;
  if (origin == ZLIB_FILEFUNC_SEEK_END) out.position = out.size + offset;
  return 0;
}

int close_output(voidpf, voidpf) { return 0; }
int test_output(voidpf opaque, voidpf) { return output(opaque).failed ? 1 : 0; }

/// The time of an entry; zip knows the years 1980 to 2107.
uLong dos_date(Timestamp time) {
  using namespace std::chrono;
  constexpr std::int64_t first = 315'532'800, last = 4'354'819'199;
  const sys_seconds when{seconds{std::clamp(time.seconds, first, last)}};
  const auto day = floor<days>(when);
  const year_month_day date{day};
  const hh_mm_ss clock{when - day};
  const auto number = [](auto value) { return static_cast<uLong>(value); };
  return ((number(static_cast<int>(date.year())) - 1980) << 25) |
         (number(static_cast<unsigned>(date.month())) << 21) |
         (number(static_cast<unsigned>(date.day())) << 16) | (number(clock.hours().count()) << 11) |
         (number(clock.minutes().count()) << 5) | (number(clock.seconds().count()) / 2);
}

using Block = std::function<Result<void>(std::string_view)>;

Result<std::uint64_t> each_block(const host::File& file, const Block& take) {
  std::array<char, block_bytes> block{};
  std::uint64_t offset = 0;
  while (true) {
    TRY_LET(const std::size_t got, file.read_at(offset, block));
    if (got == 0) return offset;
    TRY(take(std::string_view(block.data(), got)));
    offset += got;
  }
}

uLong checksum_of(uLong before, std::string_view bytes) {
  return crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

}  // namespace

struct ZipFile::State {
  std::unique_ptr<host::Directory> folder;
  std::string name;
  std::string shown_path;
  std::string temporary;  // empty: the file has no name yet
  uLong date = 0;
  Output out;
  zipFile zip = nullptr;
};

ZipFile::ZipFile(std::unique_ptr<State> state) : state_(std::move(state)) {}

ZipFile::~ZipFile() {
  if (state_->zip != nullptr) (void)zipClose(state_->zip, nullptr);
  // Nothing can be done about a failure here; the caller has an error already.
  if (!state_->temporary.empty()) (void)state_->folder->remove_file(state_->temporary);
}

Error ZipFile::broken(std::string_view verb) const {
  const std::string what = "cannot " + std::string(verb) + " the archive " + state_->shown_path;
  if (!state_->out.failed) return {Code::internal, what, "report this with the run's name"};
  Error error = state_->out.error;
  return std::move(error).wrapped(what);
}

Result<std::unique_ptr<ZipFile>> ZipFile::create(host::Host& host, const std::string& path,
                                                 Timestamp time) {
  auto state = std::make_unique<State>();
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  state->name = slash == std::string::npos ? path : path.substr(slash + 1);
  state->shown_path = display(path);
  if (auto valid = RawPath::check_component(state->name); !valid)
    return std::unexpected(
        std::move(valid).error().wrapped(state->shown_path + " is no name for a file"));
  auto folder = host.open_root(parent.empty() ? "/" : parent);
  if (!folder)
    return std::unexpected(std::move(folder).error().wrapped("cannot write " + state->shown_path));
  state->folder = std::move(*folder);
  auto there = state->folder->stat_entry(state->name);
  if (there)
    return fail(Code::already_exists, state->shown_path + " exists and is not overwritten",
                "give another name");
  if (there.error().code != Code::not_found) return std::unexpected(std::move(there).error());

  auto file = state->folder->create_unnamed(0600);
  if (!file && file.error().code == Code::unsupported) {
    const std::string temporary = "." + state->name.substr(0, 200) + ".writing";
    file = state->folder->create_file(temporary, 0600);
    if (file) state->temporary = temporary;
  }
  if (!file)
    return std::unexpected(std::move(file).error().wrapped("cannot write " + state->shown_path));
  state->out.file = std::move(*file);
  state->date = dos_date(time);

  std::unique_ptr<ZipFile> archive(new ZipFile(std::move(state)));
  zlib_filefunc64_def functions{open_output, read_output,  write_output, tell_output,
                                seek_output, close_output, test_output,  &archive->state_->out};
  archive->state_->zip = zipOpen2_64("", APPEND_STATUS_CREATE, nullptr, &functions);
  if (archive->state_->zip == nullptr) return std::unexpected(archive->broken("begin"));
  return archive;
}

Result<void> ZipFile::begin(const std::string& name, std::uint64_t size, unsigned long checksum) {
  zip_fileinfo info{};
  info.dosDate = state_->date;
  if (zipOpenNewFileInZip3_64(state_->zip, name.c_str(), &info, nullptr, 0, nullptr, 0, nullptr,
                              Z_DEFLATED, Z_DEFAULT_COMPRESSION, 0, -MAX_WBITS, DEF_MEM_LEVEL,
                              Z_DEFAULT_STRATEGY, password, checksum,
                              size >= zip64_from ? 1 : 0) != ZIP_OK)
    return std::unexpected(broken("add " + name + " to"));
  return {};
}

Result<void> ZipFile::add(const std::string& name, const host::File& file,
                          const std::string& sha256) {
  uLong checksum = 0;
  TRY_LET(const std::uint64_t size, each_block(file, [&](std::string_view block) -> Result<void> {
            checksum = checksum_of(checksum, block);
            return {};
          }));
  TRY(begin(name, size, checksum));
  crypto::Digest digest(crypto::Algorithm::sha256);
  TRY_LET(
      const std::uint64_t written, each_block(file, [&](std::string_view block) -> Result<void> {
        digest.update(block);
        if (zipWriteInFileInZip(state_->zip, block.data(), static_cast<unsigned>(block.size())) !=
            ZIP_OK)
          return std::unexpected(broken("write"));
        return {};
      }));
  if (zipCloseFileInZip(state_->zip) != ZIP_OK) return std::unexpected(broken("write"));
  if (written != size || digest.finish_hex() != sha256)
    return fail(Code::changed, "the original " + sha256 + " changed while it was read",
                "look who writes to the hold, then `remediate verify`");
  return {};
}

Result<void> ZipFile::add_text(const std::string& name, std::string_view text) {
  if (text.size() > std::numeric_limits<unsigned>::max())
    return fail(Code::limit, name + " is too large for the archive", "export fewer entries");
  TRY(begin(name, text.size(), checksum_of(0, text)));
  if (zipWriteInFileInZip(state_->zip, text.data(), static_cast<unsigned>(text.size())) != ZIP_OK ||
      zipCloseFileInZip(state_->zip) != ZIP_OK)
    return std::unexpected(broken("write"));
  return {};
}

Result<void> ZipFile::keep() {
  const bool closed = zipClose(std::exchange(state_->zip, nullptr), nullptr) == ZIP_OK;
  if (!closed || state_->out.failed) return std::unexpected(broken("end"));
  TRY(state_->out.file->sync());
  auto named = state_->temporary.empty()
                   ? state_->folder->link_file(*state_->out.file, state_->name)
                   : state_->folder->rename(state_->temporary, *state_->folder, state_->name);
  if (!named)
    return std::unexpected(std::move(named).error().wrapped("cannot name " + state_->shown_path));
  state_->temporary.clear();
  return state_->folder->sync();
}

}  // namespace remediate::interchange
