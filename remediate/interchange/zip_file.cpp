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

Result<std::uint64_t> each_block(const host::File& file,
                                 const std::function<Result<void>(std::string_view)>& take) {
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

/// The traditional zip cipher. minizip has one as well, but as Debian 12 builds it on 64 bits it
/// reads zlib's table of 32-bit numbers as one of 64 bits: no other program opens what it writes.
class ZipCipher {
 public:
  explicit ZipCipher(std::string_view word) {
    for (const char c : word) update(static_cast<unsigned char>(c));
  }
  void encrypt(std::span<unsigned char> bytes) {
    for (unsigned char& byte : bytes) {
      const std::uint32_t t = (keys_[2] & 0xffffu) | 2u;
      const auto mask = static_cast<unsigned char>((t * (t ^ 1u)) >> 8);
      update(byte);
      byte ^= mask;
    }
  }

 private:
  static std::uint32_t crc_step(std::uint32_t crc, unsigned byte) {
    return get_crc_table()[(crc ^ byte) & 0xffu] ^ (crc >> 8);
  }
  void update(unsigned char byte) {
    keys_[0] = crc_step(keys_[0], byte);
    keys_[1] = (keys_[1] + (keys_[0] & 0xffu)) * 134'775'813u + 1u;
    keys_[2] = crc_step(keys_[2], keys_[1] >> 24);
  }
  std::array<std::uint32_t, 3> keys_{0x12345678u, 0x23456789u, 0x34567890u};
};

/// Deflates a stream and hands the compressed blocks on.
class Deflater {
 public:
  using Take = std::function<Result<void>(std::span<unsigned char>)>;

  Deflater() {
    ready_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, DEF_MEM_LEVEL,
                          Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Deflater() {
    if (ready_) (void)deflateEnd(&stream_);
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  [[nodiscard]] Result<void> feed(std::string_view bytes, bool last, const Take& take) {
    if (!ready_) return fail(Code::internal, "zlib has no memory", "free some memory");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = block_.data();
      stream_.avail_out = static_cast<uInt>(block_.size());
      if (deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR)
        return fail(Code::internal, "zlib cannot compress", "report this");
      const std::size_t got = block_.size() - stream_.avail_out;
      if (got != 0) TRY(take(std::span(block_).first(got)));
    } while (stream_.avail_out == 0);
    return {};
  }

 private:
  z_stream stream_{};
  std::array<unsigned char, block_bytes> block_{};
  bool ready_ = false;
};

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

Result<void> ZipFile::write_entry(const std::string& name, std::uint64_t size,
                                  unsigned long checksum, const Feed& feed) {
  zip_fileinfo info{};
  info.dosDate = state_->date;
  constexpr uLong made_by = 20, encrypted = 1;
  if (zipOpenNewFileInZip4_64(state_->zip, name.c_str(), &info, nullptr, 0, nullptr, 0, nullptr,
                              Z_DEFLATED, Z_DEFAULT_COMPRESSION, 1, -MAX_WBITS, DEF_MEM_LEVEL,
                              Z_DEFAULT_STRATEGY, nullptr, 0, made_by, encrypted,
                              size >= zip64_from ? 1 : 0) != ZIP_OK)
    return std::unexpected(broken("add " + name + " to"));

  ZipCipher cipher(password);
  const auto put = [&](std::span<unsigned char> bytes) -> Result<void> {
    cipher.encrypt(bytes);
    if (zipWriteInFileInZip(state_->zip, bytes.data(), static_cast<unsigned>(bytes.size())) !=
        ZIP_OK)
      return std::unexpected(broken("write"));
    return {};
  };
  // Eleven random bytes and one by which a reader tells a wrong password.
  TRY_LET(const std::string hex, crypto::random_hex(11));
  const auto random = hex_decode(hex);
  std::array<unsigned char, 12> header{};
  if (!random || random->size() + 1 != header.size())
    return fail(Code::internal, "no random bytes for the archive", "report this");
  std::ranges::copy(*random, header.begin());
  header.back() = static_cast<unsigned char>(checksum >> 24);
  TRY(put(header));

  Deflater deflater;
  TRY(feed([&](std::string_view block) { return deflater.feed(block, false, put); }));
  TRY(deflater.feed({}, true, put));
  if (zipCloseFileInZipRaw64(state_->zip, size, checksum) != ZIP_OK)
    return std::unexpected(broken("write"));
  return {};
}

Result<void> ZipFile::add(const std::string& name, const host::File& file,
                          const std::string& sha256) {
  uLong checksum = 0;
  TRY_LET(const std::uint64_t size, each_block(file, [&](std::string_view block) -> Result<void> {
            checksum = checksum_of(checksum, block);
            return {};
          }));
  crypto::Digest digest(crypto::Algorithm::sha256);
  std::uint64_t written = 0;
  TRY(write_entry(name, size, checksum, [&](const Block& take) -> Result<void> {
    TRY_LET(written, each_block(file, [&](std::string_view block) -> Result<void> {
              digest.update(block);
              return take(block);
            }));
    return {};
  }));
  if (written != size || digest.finish_hex() != sha256)
    return fail(Code::changed, "the original " + sha256 + " changed while it was read",
                "look who writes to the hold, then `remediate verify`");
  return {};
}

Result<void> ZipFile::add_text(const std::string& name, std::string_view text) {
  if (text.size() > std::numeric_limits<unsigned>::max())
    return fail(Code::limit, name + " is too large for the archive", "export fewer entries");
  return write_entry(name, text.size(), checksum_of(0, text),
                     [&](const Block& take) { return take(text); });
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
