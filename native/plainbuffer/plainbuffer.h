// PlainBuffer, the wire's encoding of rows, free of Python.
//
//   rows    := header row* padding                header: LE32 0x75
//   row     := [ROW_PK cell*] [ROW_DATA cell*] [DELETE_ROW_MARKER] ROW_CHECKSUM crc
//   cell    := CELL NAME le32 bytes [VALUE le32 variant] [TYPE op] [TIMESTAMP le64] CELL_CHECKSUM crc
//   variant := type byte, then 8 bytes | 1 byte | le32 bytes | nothing
//   padding := 0*                                 of a client's rows only
//
// A cell's checksum covers name, variant, timestamp and op, in that order; a row's covers the cells' checksums and one
// byte saying whether the delete marker is there. Source: the official SDKs (protocol facts, section 2.1).
// The Node SDK reckons more bytes than it writes and sends the rest as zeros: hence the padding.
// EXTENSION and SEQ_INFO tags occur only in stream records, which go from server to client: they are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lutra::plainbuffer {

inline constexpr std::uint32_t kHeader = 0x75;

// What one row of a client has at most: it also bounds what one small message can make a reader allocate.
inline constexpr std::size_t kTableKeyCellsMax = 4;
inline constexpr std::size_t kIndexKeyCellsMax = 8;  // of a secondary index
inline constexpr std::size_t kKeyCellsMax = 16;      // whoever knows which of them it is says how many are too many
inline constexpr std::size_t kWriteCellsMax = 1024;

// Node reckons 1 byte too many for a key marker, 5 for the deletion of a version, 22 for an update with a timestamp.
inline constexpr std::size_t kPaddingMax = kIndexKeyCellsMax + 22 * kWriteCellsMax;

enum class Tag : std::uint8_t {
    kRowKey = 1,
    kRowData = 2,
    kCell = 3,
    kName = 4,
    kValue = 5,
    kType = 6,
    kTimestamp = 7,
    kDeleteMarker = 8,
    kRowChecksum = 9,
    kCellChecksum = 10,
};

enum class Type : std::uint8_t {
    kInteger = 0,
    kDouble = 1,
    kBoolean = 2,
    kString = 3,
    kNull = 6,
    kBlob = 7,
    kInfMin = 9,
    kInfMax = 10,
    kAutoIncrement = 11,
};

// What a cell does to its column; kPut is the absence of the tag.
enum class Operation : std::uint8_t { kPut = 0, kDeleteAll = 1, kDeleteOne = 3, kIncrement = 4 };

// The input breaks the grammar above or one of its checksums; the text says where.
struct Malformed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A value. `bytes` (of kString and kBlob) views memory the variant does not own. UTF-8 is not checked here.
struct Variant {
    Type type = Type::kNull;
    bool boolean = false;
    std::int64_t integer = 0;
    double real = 0;
    std::string_view bytes;
};

struct Cell {
    std::string_view name;
    bool has_value = false;
    bool has_timestamp = false;
    Operation operation = Operation::kPut;
    Variant value;
    std::int64_t timestamp = 0;
};

enum class Section : std::uint8_t { kKey, kData };

// Whether a cell of that part of a row can hold a value of that type.
bool allowed(Section section, Type type);

// The name the protocol's own messages use: VT_INTEGER, …
const char* type_name(Type type);

// Reads rows out of `data`, which must outlive it. Every method throws Malformed; none reads outside `data`.
class Reader {
  public:
    explicit Reader(std::string_view data) : begin_(bytes_of(data)), at_(begin_), end_(begin_ + data.size()) {}

    bool at_end() const { return at_ == end_; }
    void read_header();
    void expect_end();

    // After a row: goes to the end where nothing but padding is left, else stays.
    void skip_padding();

    // One row. The sink has `const char* key_cell(const Cell&)` and `const char* data_cell(const Cell&)`, called when
    // the cell's checksum has proved right, which return nullptr or what is wrong with the cell; views die with `data`.
    // Returns whether the row carries the delete marker.
    template <class Sink>
    bool read_row(Sink& sink, std::size_t data_cells_max) {
        std::uint8_t row_crc = 0;
        if (next_is(Tag::kRowKey)) {
            read_cells(Section::kKey, kKeyCellsMax, row_crc, [&](const Cell& cell) { return sink.key_cell(cell); });
        }
        if (next_is(Tag::kRowData)) {
            read_cells(Section::kData, data_cells_max, row_crc, [&](const Cell& cell) { return sink.data_cell(cell); });
        }
        return read_row_end(row_crc);
    }

    // A value alone: type byte and payload, and nothing after.
    Variant read_only_variant();

  private:
    static const std::uint8_t* bytes_of(std::string_view data) {
        return reinterpret_cast<const std::uint8_t*>(data.data());
    }

    template <class Accept>
    void read_cells(Section section, std::size_t cells_max, std::uint8_t& row_crc, Accept accept) {
        section_ = section;
        index_ = 0;
        Cell cell;
        while (next_is(Tag::kCell)) {
            read_cell(cell, row_crc);
            // Those beyond the bound are counted, for the message, and not kept.
            if (index_ < cells_max) {
                if (const char* wrong = accept(cell)) fail_cell(wrong);
            }
            ++index_;
        }
        if (index_ > cells_max) fail_too_many(cells_max);
        section_ = Section::kKey;
        index_ = kNoCell;
        name_ = {};
    }

    // Takes the tag if it is the next byte.
    bool next_is(Tag tag) {
        if (at_ == end_ || *at_ != static_cast<std::uint8_t>(tag)) return false;
        ++at_;
        return true;
    }

    std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
    void read_cell(Cell& cell, std::uint8_t& row_crc);
    std::uint8_t read_value(Variant& value, std::uint8_t crc);
    void read_variant(Variant& value);
    bool read_row_end(std::uint8_t row_crc);
    std::uint8_t take_byte(const char* what);
    std::uint32_t take_le32(const char* what);
    std::uint64_t take_le64(const char* what);
    std::string_view take_bytes(const char* what);

    std::string where() const;
    [[noreturn]] void fail_cell(const std::string& wrong) const;
    [[noreturn]] void fail_type(Type type) const;
    [[noreturn]] void fail_too_many(std::size_t cells_max) const;

    static constexpr std::size_t kNoCell = static_cast<std::size_t>(-1);

    const std::uint8_t* begin_;
    const std::uint8_t* at_;
    const std::uint8_t* end_;
    std::size_t row_ = 0;  // where the reader is, for messages
    Section section_ = Section::kKey;
    std::size_t index_ = kNoCell;  // of the cell being read
    std::string_view name_;        // its name once read
};

// Bytes that grow; small ones stay on the stack.
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();

    // Room for `size` more bytes at the returned place; `advance` then takes what was written. Throws std::bad_alloc.
    std::uint8_t* reserve(std::size_t size) {
        if (size > capacity_ - size_) grow(size);
        return data_ + size_;
    }
    void advance(const std::uint8_t* end) { size_ = static_cast<std::size_t>(end - data_); }

    const char* data() const { return reinterpret_cast<const char*>(data_); }
    std::size_t size() const { return size_; }

  private:
    void grow(std::size_t size);

    std::uint8_t inline_[1024];
    std::uint8_t* data_ = inline_;
    std::size_t size_ = 0;
    std::size_t capacity_ = sizeof inline_;
};

// Writes rows into a Buffer: header, then for each row key cells, data cells, end_row. Section tags are written with
// the first cell of the section, so an empty section is absent.
class Writer {
  public:
    explicit Writer(Buffer& out) : out_(out) {}

    void write_header();
    void write_cell(Section section, const Cell& cell);  // throws std::length_error beyond the wire's 31-bit lengths
    void end_row(bool is_delete);

    static void write_variant(Buffer& out, const Variant& value);

  private:
    Buffer& out_;
    std::uint8_t row_crc_ = 0;
    bool key_open_ = false;
    bool data_open_ = false;
};

}  // namespace lutra::plainbuffer
