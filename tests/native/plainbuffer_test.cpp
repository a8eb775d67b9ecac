// The PlainBuffer codec without Python: against a plain reference writer, and on damaged input. Meant to run under
// AddressSanitizer and UBSan, with each input in a heap block of exactly its size.
#include "plainbuffer.h"

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "crc8.h"
#include "row_matrix.h"

namespace {

using namespace lutra::plainbuffer;

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t bound) { return static_cast<std::size_t>(random() % bound); }

// A cell that owns its bytes.
struct OwnedCell {
    std::string name;
    std::string bytes;
    Cell cell;

    Cell view() const {
        Cell result = cell;
        result.name = name;
        result.value.bytes = bytes;
        return result;
    }
};

struct OwnedRow {
    std::vector<OwnedCell> key;
    std::vector<OwnedCell> data;
    bool is_delete = false;
};

// ---- a reference writer: one byte after the other, the checksum bit by bit ----

std::uint8_t plain_crc(const std::string& bytes) {
    unsigned crc = 0;
    for (unsigned char byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x80) != 0 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
    }
    return static_cast<std::uint8_t>(crc);
}

std::string little_endian(std::uint64_t number, int bytes) {
    std::string result;
    for (int i = 0; i < bytes; ++i) result += static_cast<char>(number >> (8 * i) & 0xff);
    return result;
}

std::string plain_variant(const OwnedCell& cell) {
    const Variant& value = cell.cell.value;
    std::string result(1, static_cast<char>(value.type));
    std::uint64_t bits = 0;
    switch (value.type) {
        case Type::kInteger:
            return result + little_endian(static_cast<std::uint64_t>(value.integer), 8);
        case Type::kDouble:
            std::memcpy(&bits, &value.real, sizeof bits);
            return result + little_endian(bits, 8);
        case Type::kBoolean:
            return result + static_cast<char>(value.boolean ? 1 : 0);
        case Type::kString:
        case Type::kBlob:
            return result + little_endian(cell.bytes.size(), 4) + cell.bytes;
        default:
            return result;
    }
}

std::string plain_cell(const OwnedCell& owned, std::string& row_sums) {
    const Cell& cell = owned.cell;
    std::string result = std::string("\x03\x04") + little_endian(owned.name.size(), 4) + owned.name;
    std::string summed = owned.name;
    if (cell.has_value) {
        const std::string variant = plain_variant(owned);
        result += "\x05" + little_endian(variant.size(), 4) + variant;
        summed += variant;
    }
    const char operation = static_cast<char>(cell.operation);
    if (operation != 0) result += std::string("\x06") + operation;
    if (cell.has_timestamp) {
        result += "\x07" + little_endian(static_cast<std::uint64_t>(cell.timestamp), 8);
        summed += little_endian(static_cast<std::uint64_t>(cell.timestamp), 8);
    }
    if (operation != 0) summed += operation;
    const char crc = static_cast<char>(plain_crc(summed));
    row_sums += crc;
    return result + "\x0a" + crc;
}

std::string plain_row(const OwnedRow& row) {
    std::string result;
    std::string sums;
    if (!row.key.empty()) result += "\x01";
    for (const OwnedCell& cell : row.key) result += plain_cell(cell, sums);
    if (!row.data.empty()) result += "\x02";
    for (const OwnedCell& cell : row.data) result += plain_cell(cell, sums);
    if (row.is_delete) result += "\x08";
    sums += static_cast<char>(row.is_delete ? 1 : 0);
    return result + "\x09" + static_cast<char>(plain_crc(sums));
}

// ---- random rows ----

std::string random_bytes(Random& random, std::size_t size_max) {
    std::string bytes(below(random, size_max + 1), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

OwnedCell random_cell(Random& random, Section section) {
    static constexpr Type kTypes[] = {Type::kInteger, Type::kDouble, Type::kBoolean, Type::kString,
                                      Type::kNull,    Type::kBlob,   Type::kInfMin,  Type::kInfMax,
                                      Type::kAutoIncrement};
    static constexpr Operation kOperations[] = {Operation::kPut, Operation::kDeleteAll, Operation::kDeleteOne,
                                                Operation::kIncrement};
    OwnedCell result;
    result.name = random_bytes(random, 20);
    Cell& cell = result.cell;
    cell.has_value = section == Section::kKey || below(random, 4) != 0;
    do {
        cell.value.type = kTypes[below(random, std::size(kTypes))];
    } while (!allowed(section, cell.value.type));
    cell.value.integer = static_cast<std::int64_t>(random());
    cell.value.real = static_cast<double>(cell.value.integer) / 7;
    cell.value.boolean = below(random, 2) == 1;
    if (cell.value.type == Type::kString || cell.value.type == Type::kBlob) {
        result.bytes = random_bytes(random, below(random, 20) == 0 ? 5000 : 30);
    }
    if (section == Section::kData) {
        cell.has_timestamp = below(random, 2) == 1;
        cell.timestamp = static_cast<std::int64_t>(random());
        cell.operation = kOperations[below(random, std::size(kOperations))];
    }
    return result;
}

OwnedRow random_row(Random& random) {
    OwnedRow row;
    for (std::size_t i = below(random, 5); i > 0; --i) row.key.push_back(random_cell(random, Section::kKey));
    for (std::size_t i = below(random, 9); i > 0; --i) row.data.push_back(random_cell(random, Section::kData));
    row.is_delete = below(random, 5) == 0;
    return row;
}

std::string written(const std::vector<OwnedRow>& rows) {
    Buffer buffer;
    Writer writer(buffer);
    writer.write_header();
    for (const OwnedRow& row : rows) {
        for (const OwnedCell& cell : row.key) writer.write_cell(Section::kKey, cell.view());
        for (const OwnedCell& cell : row.data) writer.write_cell(Section::kData, cell.view());
        writer.end_row(row.is_delete);
    }
    return {buffer.data(), buffer.size()};
}

// ---- reading ----

// Takes the cells apart, touching every byte of every view.
struct Sink {
    std::vector<OwnedCell> key;
    std::vector<OwnedCell> data;

    const char* key_cell(const Cell& cell) { return take(cell, key); }
    const char* data_cell(const Cell& cell) { return take(cell, data); }

    static const char* take(const Cell& cell, std::vector<OwnedCell>& cells) {
        OwnedCell owned{std::string(cell.name), {}, cell};
        if (cell.has_value && (cell.value.type == Type::kString || cell.value.type == Type::kBlob)) {
            owned.bytes = std::string(cell.value.bytes);
        }
        cells.push_back(owned);
        return nullptr;
    }
};

bool same(const OwnedCell& a, const OwnedCell& b) {
    std::string unused;
    return plain_cell(a, unused) == plain_cell(b, unused);
}

bool same(const std::vector<OwnedCell>& a, const std::vector<OwnedCell>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!same(a[i], b[i])) return false;
    }
    return true;
}

// Reads all rows, and padding, from a heap block that ends where the data ends. Throws Malformed.
std::vector<OwnedRow> read_all(const std::string& bytes) {
    const auto block = std::make_unique<char[]>(bytes.size());
    std::memcpy(block.get(), bytes.data(), bytes.size());
    Reader reader(std::string_view(block.get(), bytes.size()));
    reader.read_header();
    std::vector<OwnedRow> rows;
    while (!reader.at_end()) {
        Sink sink;
        const bool is_delete = reader.read_row(sink, 1024);
        rows.push_back({sink.key, sink.data, is_delete});
        reader.skip_padding();
    }
    return rows;
}

bool refused(const std::string& bytes) {
    try {
        read_all(bytes);
        return false;
    } catch (const Malformed& error) {
        const std::string_view text = error.what();
        CHECK(text.starts_with("PlainBuffer: ") || text.starts_with("The number of ") || text.starts_with("VT_"));
        return true;
    }
}

std::string mutated(Random& random, std::string bytes) {
    for (std::size_t changes = 1 + below(random, 3); changes > 0; --changes) {
        const std::size_t at = below(random, bytes.size() + 1);
        switch (below(random, 5)) {
            case 0:
                bytes.resize(at);
                break;
            case 1:
                bytes.insert(at, random_bytes(random, 9));
                break;
            case 2:
                bytes.erase(at, below(random, 9));
                break;
            case 3:
                bytes.insert(at, bytes.substr(below(random, bytes.size() + 1), 40));
                break;
            default:
                if (at < bytes.size()) bytes[at] = static_cast<char>(random());
        }
    }
    return bytes;
}

// ---- tests ----

void crc_is_that_of_the_polynomial(Random& random) {
    for (std::size_t size = 0; size < 200; ++size) {
        const std::string bytes = std::string(size, '\0').replace(0, size, random_bytes(random, 200).substr(0, size));
        const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
        CHECK(lutra::crc8(0, data, bytes.size()) == plain_crc(bytes));
    }
    CHECK(plain_crc("123456789") == 0xf4);  // the check value of CRC-8/SMBUS
}

void rows_are_written_and_read_as_the_reference_does(Random& random) {
    for (int round = 0; round < 1000; ++round) {
        std::vector<OwnedRow> rows(below(random, 4));
        std::string expected = little_endian(kHeader, 4);
        for (OwnedRow& row : rows) {
            row = random_row(random);
            expected += plain_row(row);
        }
        CHECK(written(rows) == expected);
        const std::vector<OwnedRow> read = read_all(expected);
        CHECK(read.size() == rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            CHECK(same(read[i].key, rows[i].key));
            CHECK(same(read[i].data, rows[i].data));
            CHECK(read[i].is_delete == rows[i].is_delete);
        }
    }
}

void damage_is_refused_or_read_within_bounds(Random& random) {
    std::size_t refusals = 0;
    for (int round = 0; round < 8000; ++round) {
        if (refused(mutated(random, written({random_row(random), random_row(random)})))) ++refusals;
    }
    CHECK(refusals > 4000);
    for (int round = 0; round < 50; ++round) {
        const std::string whole = written({random_row(random)});
        for (std::size_t size = 0; size < whole.size(); ++size) CHECK(refused(whole.substr(0, size)) == (size != 4));
    }
    for (int round = 0; round < 8000; ++round) refused(little_endian(kHeader, 4) + random_bytes(random, 60));
}

void zeros_behind_the_last_row_are_padding(Random& random) {
    for (int round = 0; round < 500; ++round) {
        const std::string whole = written({random_row(random), random_row(random)});
        std::string padded = whole + std::string(1 + below(random, 60), '\0');
        CHECK(read_all(padded).size() == 2);
        CHECK(refused(padded + written({random_row(random)}).substr(4)));
        padded[whole.size() + below(random, padded.size() - whole.size())] = static_cast<char>(10 + below(random, 246));
        CHECK(refused(padded));
    }
    const std::string row = written({random_row(random)});
    CHECK(!refused(row + std::string(kPaddingMax, '\0')));
    CHECK(refused(row + std::string(kPaddingMax + 1, '\0')));
}

void variants_alone(Random& random) {
    for (int round = 0; round < 3000; ++round) {
        const OwnedCell cell = random_cell(random, below(random, 2) == 0 ? Section::kKey : Section::kData);
        Buffer buffer;
        Writer::write_variant(buffer, cell.view().value);
        const std::string bytes(buffer.data(), buffer.size());
        CHECK(bytes == plain_variant(cell));
        const auto block = std::make_unique<char[]>(bytes.size());
        std::memcpy(block.get(), bytes.data(), bytes.size());
        CHECK(Reader(std::string_view(block.get(), bytes.size())).read_only_variant().type == cell.cell.value.type);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            try {
                Reader(std::string_view(block.get(), size)).read_only_variant();
                CHECK(false);
            } catch (const Malformed&) {
            }
        }
    }
}

void the_bounds_on_cells() {
    OwnedCell number;
    number.name = "n";
    number.cell.has_value = true;
    number.cell.value.type = Type::kInteger;
    OwnedRow row;
    row.key.assign(kKeyCellsMax, number);
    row.data.assign(1024, number);
    CHECK(!refused(written({row})));
    row.key.push_back(number);
    CHECK(refused(written({row})));
    row.key.pop_back();
    row.data.push_back(number);
    CHECK(refused(written({row})));
}

void a_matrix_names_its_columns_once() {
    Buffer buffer;
    MatrixWriter writer(buffer);
    writer.begin({"id", "a", "bc"}, 1, 1);
    writer.begin_row();
    Variant number;
    number.type = Type::kInteger;
    number.integer = -2;
    writer.put(number);
    writer.put(Variant());
    Variant text;
    text.type = Type::kString;
    text.bytes = "xyz";
    writer.put(text);
    writer.end();
    std::string expected = "SRM0" + little_endian(38, 4) + little_endian(31, 4) + little_endian(1, 4) +
                           little_endian(2, 4) + little_endian(2, 2) + "id" + little_endian(1, 2) + "a" +
                           little_endian(2, 2) + "bc";
    expected += std::string("\x0a\x01\x03", 3) + little_endian(1, 4) + std::string("\x02\x00", 2) +
                little_endian(static_cast<std::uint64_t>(-2), 8) + std::string("\x06\x03", 2) + little_endian(3, 4) +
                "xyz\x01";
    expected += static_cast<char>(plain_crc(expected));
    CHECK(std::string(buffer.data(), buffer.size()) == expected);
}

}  // namespace

int main() {
    a_matrix_names_its_columns_once();
    Random random(20151231);
    crc_is_that_of_the_polynomial(random);
    rows_are_written_and_read_as_the_reference_does(random);
    damage_is_refused_or_read_within_bounds(random);
    zeros_behind_the_last_row_are_padding(random);
    variants_alone(random);
    the_bounds_on_cells();
    return 0;
}
