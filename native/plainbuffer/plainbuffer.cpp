#include "plainbuffer.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "crc8.h"

namespace lutra::plainbuffer {

namespace {

// The wire is little-endian and so is every machine this is built for; memcpy leaves alignment to the compiler.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

template <class T>
T load(const std::uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

template <class T>
std::uint8_t* store(std::uint8_t* at, T value) {
    std::memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

std::uint8_t* store(std::uint8_t* at, Tag tag) {
    *at = static_cast<std::uint8_t>(tag);
    return at + 1;
}

std::uint8_t* store(std::uint8_t* at, std::string_view bytes) {
    at = store(at, static_cast<std::uint32_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    return at + bytes.size();
}

// At most 64 bytes of a name a client sent, safe to show.
std::string shown(std::string_view name) {
    std::string text = "'";
    char escaped[5];
    for (unsigned char byte : name.substr(0, 64)) {
        if (byte >= 0x20 && byte < 0x7f) {
            text += static_cast<char>(byte);
        } else {
            std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
            text += escaped;
        }
    }
    return text + (name.size() > 64 ? "…'" : "'");
}

std::string mismatch(std::uint8_t sent, std::uint8_t computed) {
    char text[80];
    std::snprintf(text, sizeof text, "checksum mismatch: 0x%02x was sent, the content gives 0x%02x", sent, computed);
    return text;
}

bool known_type(std::uint8_t type) { return type <= 3 || type == 6 || type == 7 || (type >= 9 && type <= 11); }

bool known_operation(std::uint8_t operation) { return operation == 1 || operation == 3 || operation == 4; }

// Bytes after the type byte.
std::size_t payload_size(const Variant& value) {
    switch (value.type) {
        case Type::kInteger:
        case Type::kDouble:
            return 8;
        case Type::kBoolean:
            return 1;
        case Type::kString:
        case Type::kBlob:
            return 4 + value.bytes.size();
        default:
            return 0;
    }
}

std::uint8_t* store(std::uint8_t* at, const Variant& value) {
    *at++ = static_cast<std::uint8_t>(value.type);
    switch (value.type) {
        case Type::kInteger:
            return store(at, value.integer);
        case Type::kDouble:
            return store(at, value.real);
        case Type::kBoolean:
            *at = value.boolean ? 1 : 0;
            return at + 1;
        case Type::kString:
        case Type::kBlob:
            return store(at, value.bytes);
        default:
            return at;
    }
}

void check_length(std::size_t size) {
    // SDKs read lengths as signed; a value's length has five bytes before it counted in.
    constexpr std::size_t kMax = std::numeric_limits<std::int32_t>::max() - 5;
    if (size > kMax) throw std::length_error("PlainBuffer: a name or value of 2 GiB or more cannot be encoded");
}

}  // namespace

bool allowed(Section section, Type type) {
    switch (type) {
        case Type::kInteger:
        case Type::kString:
        case Type::kBlob:
            return true;
        case Type::kDouble:
        case Type::kBoolean:
        case Type::kNull:
            return section == Section::kData;
        default:
            return section == Section::kKey;
    }
}

const char* type_name(Type type) {
    switch (type) {
        case Type::kInteger:
            return "VT_INTEGER";
        case Type::kDouble:
            return "VT_DOUBLE";
        case Type::kBoolean:
            return "VT_BOOLEAN";
        case Type::kString:
            return "VT_STRING";
        case Type::kNull:
            return "VT_NULL";
        case Type::kBlob:
            return "VT_BLOB";
        case Type::kInfMin:
            return "VT_INF_MIN";
        case Type::kInfMax:
            return "VT_INF_MAX";
        case Type::kAutoIncrement:
            return "VT_AUTO_INCREMENT";
    }
    return "unknown";
}

std::string Reader::where() const {
    std::string text = "PlainBuffer: ";
    if (row_ > 0) text += "row " + std::to_string(row_ + 1) + ": ";
    if (index_ == kNoCell) return text + "byte " + std::to_string(at_ - begin_) + ": ";
    text += section_ == Section::kKey ? "primary key column " : "attribute column ";
    text += std::to_string(index_ + 1);
    if (name_.data() != nullptr) text += " " + shown(name_);
    return text + ": ";
}

void Reader::fail_cell(const std::string& wrong) const { throw Malformed(where() + wrong); }

void Reader::fail_too_many(std::size_t cells_max) const {
    // The service's own texts.
    if (section_ == Section::kKey) {
        const std::string max = std::to_string(kTableKeyCellsMax);
        throw Malformed("The number of primary key columns must be in range: [1, " + max + "].");
    }
    const std::string max = std::to_string(cells_max);
    throw Malformed("The number of attribute columns exceeds the limit, limit count: " + max +
                    ", column count: " + std::to_string(index_) + ".");
}

std::uint8_t Reader::take_byte(const char* what) {
    if (at_ == end_) fail_cell(std::string("the data ends before ") + what);
    return *at_++;
}

std::uint32_t Reader::take_le32(const char* what) {
    if (left() < 4) fail_cell(std::string("the data ends before ") + what);
    const auto value = load<std::uint32_t>(at_);
    at_ += 4;
    return value;
}

std::uint64_t Reader::take_le64(const char* what) {
    if (left() < 8) fail_cell(std::string("the data ends before ") + what);
    const auto value = load<std::uint64_t>(at_);
    at_ += 8;
    return value;
}

std::string_view Reader::take_bytes(const char* what) {
    const std::uint32_t size = take_le32(what);
    if (size > left()) {
        fail_cell(std::string(what) + " is said to be " + std::to_string(size) + " bytes long, " +
                  std::to_string(left()) + " are left");
    }
    const std::string_view bytes(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return bytes;
}

void Reader::read_header() {
    if (left() < 4 || load<std::uint32_t>(at_) != kHeader) throw Malformed("PlainBuffer: the header 0x75 is missing");
    at_ += 4;
}

void Reader::expect_end() {
    if (!at_end()) fail_cell(std::to_string(left()) + " bytes after the end");
}

void Reader::skip_padding() {
    if (at_end() || left() > kPaddingMax) return;
    const std::uint8_t* at = at_;
    while (at != end_ && *at == 0) ++at;
    if (at == end_) at_ = end_;
}

void Reader::read_variant(Variant& value) {
    const std::uint8_t type = take_byte("the type of the value");
    if (!known_type(type)) fail_cell("unknown value type " + std::to_string(type));
    value.type = static_cast<Type>(type);
    switch (value.type) {
        case Type::kInteger:
            value.integer = static_cast<std::int64_t>(take_le64("the end of an integer"));
            break;
        case Type::kDouble: {
            const std::uint64_t bits = take_le64("the end of a double");
            std::memcpy(&value.real, &bits, sizeof bits);
            break;
        }
        case Type::kBoolean: {
            const std::uint8_t byte = take_byte("a boolean");
            if (byte > 1) fail_cell("a boolean of value " + std::to_string(byte));
            value.boolean = byte == 1;
            break;
        }
        case Type::kString:
            value.bytes = take_bytes("the string");
            break;
        case Type::kBlob:
            value.bytes = take_bytes("the blob");
            break;
        default:
            break;
    }
}

std::uint8_t Reader::read_value(Variant& value, std::uint8_t crc) {
    const std::uint32_t size = take_le32("the length of the value");
    const std::uint8_t* begin = at_;  // the checksum leaves the length out
    read_variant(value);
    if (static_cast<std::size_t>(at_ - begin) != size) {
        fail_cell("the value is said to be " + std::to_string(size) + " bytes long, but takes " +
                  std::to_string(at_ - begin));
    }
    if (!allowed(section_, value.type)) fail_type(value.type);
    return crc8(crc, begin, size);
}

void Reader::fail_type(Type type) const {
    if (section_ == Section::kKey) {
        throw Malformed(std::string(type_name(type)) + " is an invalid type for the primary key.");
    }
    fail_cell(std::string(type_name(type)) + " is not a type of an attribute column");
}

void Reader::read_cell(Cell& cell, std::uint8_t& row_crc) {
    name_ = {};
    if (!next_is(Tag::kName)) fail_cell("no name");
    cell.name = name_ = take_bytes("the name");
    std::uint8_t crc = crc8(0, reinterpret_cast<const std::uint8_t*>(name_.data()), name_.size());

    cell.has_value = next_is(Tag::kValue);
    if (cell.has_value) crc = read_value(cell.value, crc);
    if (section_ == Section::kKey && !cell.has_value) fail_cell("no value");

    cell.operation = Operation::kPut;
    if (section_ == Section::kData && next_is(Tag::kType)) {
        const std::uint8_t operation = take_byte("the type of the cell");
        if (!known_operation(operation)) fail_cell("unknown cell type " + std::to_string(operation));
        cell.operation = static_cast<Operation>(operation);
    }
    cell.has_timestamp = section_ == Section::kData && next_is(Tag::kTimestamp);
    if (cell.has_timestamp) {
        cell.timestamp = static_cast<std::int64_t>(take_le64("the end of the timestamp"));
        crc = crc8_int64(crc, cell.timestamp);
    }
    if (cell.operation != Operation::kPut) crc = crc8(crc, static_cast<std::uint8_t>(cell.operation));

    if (!next_is(Tag::kCellChecksum)) {
        if (at_end()) fail_cell("the data ends before the checksum");
        fail_cell("tag " + std::to_string(*at_) + " where the checksum should be");
    }
    const std::uint8_t sent = take_byte("the checksum");
    if (sent != crc) fail_cell(mismatch(sent, crc));
    row_crc = crc8(row_crc, crc);
}

bool Reader::read_row_end(std::uint8_t row_crc) {
    const bool is_delete = next_is(Tag::kDeleteMarker);
    row_crc = crc8(row_crc, is_delete ? 1 : 0);
    if (!next_is(Tag::kRowChecksum)) {
        if (at_end()) fail_cell("the data ends before the row's checksum");
        fail_cell("tag " + std::to_string(*at_) + " where the row's checksum should be");
    }
    const std::uint8_t sent = take_byte("the row's checksum");
    if (sent != row_crc) fail_cell("row " + mismatch(sent, row_crc));
    ++row_;
    return is_delete;
}

Variant Reader::read_only_variant() {
    Variant value;
    read_variant(value);
    expect_end();
    return value;
}

Buffer::~Buffer() {
    if (data_ != inline_) std::free(data_);
}

void Buffer::grow(std::size_t size) {
    if (size > std::numeric_limits<std::size_t>::max() / 2 - size_) throw std::bad_alloc();
    std::size_t capacity = capacity_ * 2;
    if (capacity < size_ + size) capacity = size_ + size;
    void* data = data_ == inline_ ? std::malloc(capacity) : std::realloc(data_, capacity);
    if (data == nullptr) throw std::bad_alloc();
    if (data_ == inline_) std::memcpy(data, inline_, size_);
    data_ = static_cast<std::uint8_t*>(data);
    capacity_ = capacity;
}

void Writer::write_header() {
    std::uint8_t* at = out_.reserve(4);
    out_.advance(store(at, kHeader));
}

void Writer::write_cell(Section section, const Cell& cell) {
    check_length(cell.name.size());
    if (cell.has_value) check_length(cell.value.bytes.size());
    const std::size_t value_size = cell.has_value ? 1 + payload_size(cell.value) : 0;
    // Section and cell tags 2, name 5, value 5, type 2, timestamp 9, checksum 2.
    std::uint8_t* at = out_.reserve(25 + cell.name.size() + value_size);
    bool& open = section == Section::kKey ? key_open_ : data_open_;
    if (!open) {
        at = store(at, section == Section::kKey ? Tag::kRowKey : Tag::kRowData);
        open = true;
    }
    at = store(at, Tag::kCell);
    at = store(at, Tag::kName);
    at = store(at, cell.name);
    std::uint8_t crc = crc8(0, at - cell.name.size(), cell.name.size());
    if (cell.has_value) {
        at = store(at, Tag::kValue);
        at = store(at, static_cast<std::uint32_t>(value_size));
        const std::uint8_t* begin = at;
        at = store(at, cell.value);
        crc = crc8(crc, begin, value_size);
    }
    if (cell.operation != Operation::kPut) {
        at = store(at, Tag::kType);
        *at++ = static_cast<std::uint8_t>(cell.operation);
    }
    if (cell.has_timestamp) {
        at = store(at, Tag::kTimestamp);
        at = store(at, cell.timestamp);
        crc = crc8_int64(crc, cell.timestamp);
    }
    if (cell.operation != Operation::kPut) crc = crc8(crc, static_cast<std::uint8_t>(cell.operation));
    at = store(at, Tag::kCellChecksum);
    *at++ = crc;
    out_.advance(at);
    row_crc_ = crc8(row_crc_, crc);
}

void Writer::end_row(bool is_delete) {
    std::uint8_t* at = out_.reserve(3);
    if (is_delete) at = store(at, Tag::kDeleteMarker);
    at = store(at, Tag::kRowChecksum);
    *at++ = crc8(row_crc_, is_delete ? 1 : 0);
    out_.advance(at);
    row_crc_ = 0;
    key_open_ = data_open_ = false;
}

void Writer::write_variant(Buffer& out, const Variant& value) {
    check_length(value.bytes.size());
    std::uint8_t* at = out.reserve(1 + payload_size(value));
    out.advance(store(at, value));
}

}  // namespace lutra::plainbuffer
