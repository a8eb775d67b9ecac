// PlainBuffer to and from Python objects. The GIL is held throughout and no Python code runs in between, so the views
// into str and bytes objects stay valid and lists do not change under the loops.
#include <new>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "bindings.h"
#include "name_cache.h"
#include "plainbuffer.h"
#include "row_matrix.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using plainbuffer::Buffer;
using plainbuffer::Cell;
using plainbuffer::MatrixWriter;
using plainbuffer::Operation;
using plainbuffer::Reader;
using plainbuffer::Section;
using plainbuffer::Type;
using plainbuffer::Variant;
using plainbuffer::Writer;

// Objects of lutra.model, looked up once and kept for the life of the process.
struct Model {
    PyObject* parameter_invalid;
    PyObject* invalid_primary_key;
    PyObject* corruption;
    PyObject* inf_min;
    PyObject* inf_max;
    PyObject* auto_increment;
};

Model model;
NameCache names;

PyObject* look_up(const char* module, const char* name) {
    return nb::module_::import_(module).attr(name).inc_ref().ptr();
}

[[noreturn]] void raise(PyObject* type, const char* text) {
    PyErr_SetString(type, text);
    throw nb::python_error();
}

// Runs `work`, turning the codec's exceptions into Python's: `malformed` for bad input.
template <class Work>
auto translating(PyObject* malformed, Work work) {
    try {
        return work();
    } catch (const plainbuffer::Malformed& error) {
        raise(malformed, error.what());
    } catch (const std::length_error& error) {
        raise(model.parameter_invalid, error.what());
    }
}

nb::object owned(PyObject* object) {
    if (object == nullptr) throw nb::python_error();
    return nb::steal(object);
}

// ---- decoding ----

constexpr const char* kNotUtf8 = "not valid UTF-8";

// Whether the Python error set is about UTF-8 (then it is cleared); any other is raised.
void clear_decode_error() {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) throw nb::python_error();
    PyErr_Clear();
}

// A new reference, or nullptr where a string is not UTF-8.
PyObject* to_python(const Variant& value) {
    PyObject* object = nullptr;
    const auto size = static_cast<Py_ssize_t>(value.bytes.size());
    switch (value.type) {
        case Type::kInteger:
            object = PyLong_FromLongLong(value.integer);
            break;
        case Type::kDouble:
            object = PyFloat_FromDouble(value.real);
            break;
        case Type::kBoolean:
            return Py_NewRef(value.boolean ? Py_True : Py_False);
        case Type::kString:
            object = PyUnicode_DecodeUTF8(value.bytes.data(), size, nullptr);
            if (object == nullptr) clear_decode_error();
            return object;
        case Type::kBlob:
            object = PyBytes_FromStringAndSize(value.bytes.data(), size);
            break;
        case Type::kNull:
            return Py_NewRef(Py_None);
        case Type::kInfMin:
            return Py_NewRef(model.inf_min);
        case Type::kInfMax:
            return Py_NewRef(model.inf_max);
        case Type::kAutoIncrement:
            return Py_NewRef(model.auto_increment);
    }
    if (object == nullptr) throw nb::python_error();
    return object;
}

// A tuple of `size` with the cell's name and value as its first two items; null where one is not UTF-8.
nb::object start_tuple(Py_ssize_t size, const Cell& cell) {
    nb::object tuple = owned(PyTuple_New(size));
    PyObject* name = names.get(cell.name);
    if (name == nullptr) {
        clear_decode_error();
        return {};
    }
    PyTuple_SET_ITEM(tuple.ptr(), 0, name);
    PyObject* value = cell.has_value ? to_python(cell.value) : Py_NewRef(Py_None);
    if (value == nullptr) return {};
    PyTuple_SET_ITEM(tuple.ptr(), 1, value);
    return tuple;
}

void append(const nb::object& list, const nb::object& item) {
    if (PyList_Append(list.ptr(), item.ptr()) != 0) throw nb::python_error();
}

// Collects one row as a client may send it.
class ChangeSink {
  public:
    const char* key_cell(const Cell& cell) {
        nb::object item = start_tuple(2, cell);
        if (!item.is_valid()) return kNotUtf8;
        key_[key_size_++] = std::move(item);
        return nullptr;
    }

    const char* data_cell(const Cell& cell) {
        nb::object item = start_tuple(4, cell);
        if (!item.is_valid()) return kNotUtf8;
        PyObject* timestamp = cell.has_timestamp ? PyLong_FromLongLong(cell.timestamp) : Py_NewRef(Py_None);
        if (timestamp == nullptr) throw nb::python_error();
        PyTuple_SET_ITEM(item.ptr(), 2, timestamp);
        PyTuple_SET_ITEM(item.ptr(), 3, PyLong_FromLong(static_cast<long>(cell.operation)));  // a cached small int
        append(cells_, item);
        return nullptr;
    }

    // (key, cells, is_delete)
    nb::object row(bool is_delete) {
        nb::object key = owned(PyTuple_New(static_cast<Py_ssize_t>(key_size_)));
        for (std::size_t i = 0; i < key_size_; ++i) {
            PyTuple_SET_ITEM(key.ptr(), static_cast<Py_ssize_t>(i), key_[i].release().ptr());
        }
        return owned(PyTuple_Pack(3, key.ptr(), cells_.ptr(), is_delete ? Py_True : Py_False));
    }

  private:
    nb::object key_[plainbuffer::kKeyCellsMax];
    std::size_t key_size_ = 0;
    nb::object cells_ = owned(PyList_New(0));
};

// Collects the cells of a stored row.
class CellSink {
  public:
    const char* key_cell(const Cell&) { return "a stored row has no primary key columns"; }

    const char* data_cell(const Cell& cell) {
        if (!cell.has_value || !cell.has_timestamp || cell.operation != Operation::kPut ||
            cell.value.type == Type::kNull) {
            return "a stored cell has a value and a timestamp";
        }
        nb::object item = start_tuple(3, cell);
        if (!item.is_valid()) return kNotUtf8;
        PyObject* timestamp = PyLong_FromLongLong(cell.timestamp);
        if (timestamp == nullptr) throw nb::python_error();
        PyTuple_SET_ITEM(item.ptr(), 2, timestamp);
        append(cells, item);
        return nullptr;
    }

    nb::object cells = owned(PyList_New(0));
};

std::string_view view(const nb::bytes& data) { return {data.c_str(), data.size()}; }

nb::object decode_row(const nb::bytes& data) {
    return translating(model.parameter_invalid, [&] {
        Reader reader(view(data));
        reader.read_header();
        ChangeSink sink;
        const bool is_delete = reader.read_row(sink, plainbuffer::kWriteCellsMax);
        reader.skip_padding();
        reader.expect_end();
        return sink.row(is_delete);
    });
}

nb::object decode_rows(const nb::bytes& data) {
    return translating(model.parameter_invalid, [&] {
        nb::object rows = owned(PyList_New(0));
        if (data.size() == 0) return rows;
        Reader reader(view(data));
        reader.read_header();
        while (!reader.at_end()) {
            ChangeSink sink;
            const bool is_delete = reader.read_row(sink, data.size());
            append(rows, sink.row(is_delete));
            reader.skip_padding();
        }
        return rows;
    });
}

nb::object decode_cells(const nb::bytes& data) {
    return translating(model.corruption, [&] {
        Reader reader(view(data));
        reader.read_header();
        CellSink sink;
        if (reader.read_row(sink, data.size())) {
            throw plainbuffer::Malformed("PlainBuffer: a stored row has no delete marker");
        }
        reader.expect_end();
        return sink.cells;
    });
}

nb::object decode_variant(const nb::bytes& data) {
    return translating(model.parameter_invalid, [&] {
        PyObject* value = to_python(Reader(view(data)).read_only_variant());
        if (value == nullptr) throw plainbuffer::Malformed(std::string("PlainBuffer: the string is ") + kNotUtf8);
        return nb::steal(value);
    });
}

// ---- encoding ----

// What a str holds, as UTF-8; lone surrogates, which UTF-8 cannot hold, raise ParameterInvalid.
std::string_view utf8_of(PyObject* str) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(str, &size);
    if (data == nullptr) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw nb::python_error();
        PyErr_Clear();
        raise(model.parameter_invalid, "A string with a lone surrogate cannot be encoded in UTF-8.");
    }
    return {data, static_cast<std::size_t>(size)};
}

bool marker_type(PyObject* object, Type& type) {
    if (object == model.inf_min) {
        type = Type::kInfMin;
    } else if (object == model.inf_max) {
        type = Type::kInfMax;
    } else if (object == model.auto_increment) {
        type = Type::kAutoIncrement;
    } else {
        return false;
    }
    return true;
}

std::int64_t int64_of(PyObject* object, const char* what) {
    if (!PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s is an int, not %.100s", what, Py_TYPE(object)->tp_name);
        throw nb::python_error();
    }
    int overflow = 0;
    const long long integer = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0) {
        PyErr_Format(model.parameter_invalid, "%s does not fit 64 bits.", what);
        throw nb::python_error();
    }
    return integer;
}

Variant variant_of(PyObject* object) {
    Variant value;
    if (PyUnicode_Check(object)) {
        value.type = Type::kString;
        value.bytes = utf8_of(object);
    } else if (PyBool_Check(object)) {
        value.type = Type::kBoolean;
        value.boolean = object == Py_True;
    } else if (PyLong_Check(object)) {
        value.type = Type::kInteger;
        value.integer = int64_of(object, "An integer value");
    } else if (PyFloat_Check(object)) {
        value.type = Type::kDouble;
        value.real = PyFloat_AS_DOUBLE(object);
    } else if (PyBytes_Check(object)) {
        value.type = Type::kBlob;
        value.bytes = {PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object))};
    } else if (!marker_type(object, value.type)) {
        PyErr_Format(model.parameter_invalid, "A value of type %.100s cannot be stored in a column.",
                     Py_TYPE(object)->tp_name);
        throw nb::python_error();
    }
    return value;
}

// Items of a list or a tuple.
struct Items {
    explicit Items(PyObject* sequence, const char* what) {
        if (!PyList_Check(sequence) && !PyTuple_Check(sequence)) {
            PyErr_Format(PyExc_TypeError, "%s is a list or a tuple, not %.100s", what, Py_TYPE(sequence)->tp_name);
            throw nb::python_error();
        }
        size = PySequence_Fast_GET_SIZE(sequence);
        first = PySequence_Fast_ITEMS(sequence);
    }

    PyObject** begin() const { return first; }
    PyObject** end() const { return first + size; }

    Py_ssize_t size;
    PyObject** first;
};

// The tuple's items, of which there must be `size`; the first, a name, fills `cell`.
PyObject** start_cell(PyObject* tuple, Py_ssize_t size, Cell& cell) {
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != size || !PyUnicode_Check(PyTuple_GET_ITEM(tuple, 0))) {
        PyErr_Format(PyExc_TypeError, "a column is a tuple of %zd that starts with its name, not %R", size, tuple);
        throw nb::python_error();
    }
    PyObject** items = PySequence_Fast_ITEMS(tuple);
    cell.name = utf8_of(items[0]);
    return items;
}

void check_allowed(Section section, const Cell& cell) {
    if (plainbuffer::allowed(section, cell.value.type)) return;
    const std::string name(cell.name);
    PyErr_Format(section == Section::kKey ? model.invalid_primary_key : model.parameter_invalid,
                 "Column '%.255s': %s is not a type of %s column.", name.c_str(),
                 plainbuffer::type_name(cell.value.type), section == Section::kKey ? "a primary key" : "an attribute");
    throw nb::python_error();
}

void set_value(Section section, PyObject* object, Cell& cell) {
    cell.has_value = true;
    cell.value = variant_of(object);
    check_allowed(section, cell);
}

void set_timestamp(PyObject* object, Cell& cell) {
    cell.has_timestamp = object != Py_None;
    if (cell.has_timestamp) cell.timestamp = int64_of(object, "A timestamp");
}

void write_key(Writer& writer, PyObject* key) {
    for (PyObject* column : Items(key, "a primary key")) {
        Cell cell;
        PyObject** items = start_cell(column, 2, cell);
        set_value(Section::kKey, items[1], cell);
        writer.write_cell(Section::kKey, cell);
    }
}

void write_cells(Writer& writer, PyObject* cells) {
    for (PyObject* column : Items(cells, "the cells of a row")) {
        Cell cell;
        PyObject** items = start_cell(column, 3, cell);
        set_value(Section::kData, items[1], cell);
        set_timestamp(items[2], cell);
        writer.write_cell(Section::kData, cell);
    }
}

Operation operation_of(PyObject* object) {
    const std::int64_t number = int64_of(object, "A cell operation");
    if (number != 0 && number != 1 && number != 3 && number != 4) {
        PyErr_Format(model.parameter_invalid, "There is no cell operation %lld.", static_cast<long long>(number));
        throw nb::python_error();
    }
    return static_cast<Operation>(number);
}

void write_changes(Writer& writer, PyObject* changes) {
    for (PyObject* column : Items(changes, "the changes of a row")) {
        Cell cell;
        PyObject** items = start_cell(column, 4, cell);
        if (items[1] != Py_None) set_value(Section::kData, items[1], cell);
        set_timestamp(items[2], cell);
        cell.operation = operation_of(items[3]);
        writer.write_cell(Section::kData, cell);
    }
}

// ---- measuring ----

// Bytes of a value as the protocol counts them.
std::size_t counted_bytes(PyObject* value) {
    if (PyUnicode_Check(value)) return utf8_of(value).size();
    if (PyBytes_Check(value)) return static_cast<std::size_t>(PyBytes_GET_SIZE(value));
    if (PyBool_Check(value)) return 1;
    if (PyLong_Check(value) || PyFloat_Check(value) || value == model.auto_increment) return 8;
    return 0;
}

// Bytes of names, values and timestamps together.
std::size_t measure(PyObject* columns, const char* what, std::size_t timestamp_bytes) {
    std::size_t size_bytes = 0;
    for (PyObject* column : Items(columns, what)) {
        const Py_ssize_t size = PyTuple_Check(column) ? PyTuple_GET_SIZE(column) : 0;
        if (size < 2 || !PyUnicode_Check(PyTuple_GET_ITEM(column, 0))) {
            PyErr_Format(PyExc_TypeError, "a column is a tuple that starts with its name and its value, not %R", column);
            throw nb::python_error();
        }
        size_bytes += utf8_of(PyTuple_GET_ITEM(column, 0)).size() + counted_bytes(PyTuple_GET_ITEM(column, 1));
        if (size > 2 && PyTuple_GET_ITEM(column, 2) != Py_None) size_bytes += timestamp_bytes;
    }
    return size_bytes;
}

std::size_t measure_row(nb::handle key, nb::handle cells, std::size_t timestamp_bytes) {
    return measure(key.ptr(), "a primary key", 0) + measure(cells.ptr(), "the cells of a row", timestamp_bytes);
}

nb::object to_bytes(const Buffer& buffer) {
    return owned(PyBytes_FromStringAndSize(buffer.data(), static_cast<Py_ssize_t>(buffer.size())));
}

// Runs `write(writer)` and returns what it wrote after the header.
template <class Write>
nb::object encoded(Write write) {
    return translating(model.parameter_invalid, [&] {
        Buffer buffer;
        Writer writer(buffer);
        writer.write_header();
        write(writer);
        return to_bytes(buffer);
    });
}

nb::object encode_row(nb::handle key, nb::handle cells) {
    return encoded([&](Writer& writer) {
        write_key(writer, key.ptr());
        write_cells(writer, cells.ptr());
        writer.end_row(false);
    });
}

nb::object encode_rows(nb::handle rows) {
    const Items items(rows.ptr(), "rows");
    if (items.size == 0) return owned(PyBytes_FromStringAndSize(nullptr, 0));
    return encoded([&](Writer& writer) {
        for (PyObject* row : items) {
            if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != 2) {
                raise(PyExc_TypeError, "a row is a tuple of a key and its cells");
            }
            write_key(writer, PyTuple_GET_ITEM(row, 0));
            write_cells(writer, PyTuple_GET_ITEM(row, 1));
            writer.end_row(false);
        }
    });
}

// ---- rows as a matrix ----

std::vector<std::string_view> names_of(PyObject* sequence, const char* what) {
    std::vector<std::string_view> names;
    for (PyObject* name : Items(sequence, what)) {
        if (!PyUnicode_Check(name)) raise(PyExc_TypeError, "a column's name is a str");
        names.push_back(utf8_of(name));
    }
    return names;
}

// The place of each name, to look cells up in.
nb::object places_of(PyObject* sequence) {
    nb::object places = owned(PyDict_New());
    Py_ssize_t place = 0;
    for (PyObject* name : Items(sequence, "the names of columns")) {
        const nb::object number = owned(PyLong_FromSsize_t(place++));
        if (PyDict_SetItem(places.ptr(), name, number.ptr()) != 0) throw nb::python_error();
    }
    return places;
}

// Puts the newest version of each cell, the first of its name, where its column is; nullptr where there is none.
void place_cells(PyObject* cells, PyObject* places, std::vector<PyObject*>& values) {
    values.assign(values.size(), nullptr);
    for (PyObject* column : Items(cells, "the cells of a row")) {
        Cell cell;
        PyObject** items = start_cell(column, 3, cell);
        PyObject* place = PyDict_GetItemWithError(places, items[0]);
        if (place == nullptr) {
            if (PyErr_Occurred() == nullptr) PyErr_Format(PyExc_ValueError, "no column is named %R", items[0]);
            throw nb::python_error();
        }
        PyObject*& value = values[static_cast<std::size_t>(PyLong_AsSsize_t(place))];
        if (value == nullptr) value = items[1];
    }
}

void put_matrix_row(MatrixWriter& writer, PyObject* row, std::size_t key_count, PyObject* places,
                    std::vector<PyObject*>& values) {
    if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != 2) {
        raise(PyExc_TypeError, "a row is a tuple of a key and its cells");
    }
    writer.begin_row();
    const Items key(PyTuple_GET_ITEM(row, 0), "a primary key");
    if (static_cast<std::size_t>(key.size) != key_count) raise(PyExc_ValueError, "a key lacks a column");
    for (PyObject* column : key) {
        Cell cell;
        set_value(Section::kKey, start_cell(column, 2, cell)[1], cell);
        writer.put(cell.value);
    }
    place_cells(PyTuple_GET_ITEM(row, 1), places, values);
    for (PyObject* object : values) {
        Cell cell;
        if (object != nullptr) set_value(Section::kData, object, cell);
        writer.put(cell.value);
    }
}

nb::object encode_row_matrix(nb::handle key_names, nb::handle column_names, nb::handle rows) {
    return translating(model.parameter_invalid, [&] {
        std::vector<std::string_view> all = names_of(key_names.ptr(), "the names of key columns");
        const std::size_t key_count = all.size();
        const std::vector<std::string_view> others = names_of(column_names.ptr(), "the names of columns");
        all.insert(all.end(), others.begin(), others.end());
        const nb::object places = places_of(column_names.ptr());
        const Items items(rows.ptr(), "rows");
        std::vector<PyObject*> values(others.size());
        Buffer buffer;
        MatrixWriter writer(buffer);
        writer.begin(all, key_count, static_cast<std::size_t>(items.size));
        for (PyObject* row : items) put_matrix_row(writer, row, key_count, places.ptr(), values);
        writer.end();
        return to_bytes(buffer);
    });
}

nb::object encode_key(nb::handle key) {
    return encoded([&](Writer& writer) {
        write_key(writer, key.ptr());
        writer.end_row(false);
    });
}

nb::object encode_change(nb::handle key, nb::handle changes, bool is_delete) {
    return encoded([&](Writer& writer) {
        write_key(writer, key.ptr());
        write_changes(writer, changes.ptr());
        writer.end_row(is_delete);
    });
}

nb::object encode_cells(nb::handle cells) {
    return encoded([&](Writer& writer) {
        write_cells(writer, cells.ptr());
        writer.end_row(false);
    });
}

nb::object encode_variant(nb::handle value) {
    return translating(model.parameter_invalid, [&] {
        Buffer buffer;
        Writer::write_variant(buffer, variant_of(value.ptr()));
        return to_bytes(buffer);
    });
}

}  // namespace

void bind_plainbuffer(nb::module_& m) {
    model = {
        .parameter_invalid = look_up("lutra.model.errors", "ParameterInvalid"),
        .invalid_primary_key = look_up("lutra.model.errors", "InvalidPrimaryKey"),
        .corruption = look_up("lutra.model.errors", "Corruption"),
        .inf_min = look_up("lutra.model.values", "INF_MIN"),
        .inf_max = look_up("lutra.model.values", "INF_MAX"),
        .auto_increment = look_up("lutra.model.values", "AUTO_INCREMENT"),
    };
    m.def("decode_row", &decode_row, "data"_a);
    m.def("decode_rows", &decode_rows, "data"_a);
    m.def("decode_cells", &decode_cells, "data"_a);
    m.def("decode_variant", &decode_variant, "data"_a);
    m.def("encode_row", &encode_row, "key"_a, "cells"_a);
    m.def("encode_rows", &encode_rows, "rows"_a);
    m.def("encode_row_matrix", &encode_row_matrix, "key_names"_a, "column_names"_a, "rows"_a);
    m.def("encode_key", &encode_key, "key"_a);
    m.def("encode_change", &encode_change, "key"_a, "changes"_a, "is_delete"_a);
    m.def("encode_cells", &encode_cells, "cells"_a);
    m.def("encode_variant", &encode_variant, "value"_a);
    m.def("measure_row", &measure_row, "key"_a, "cells"_a, "timestamp_bytes"_a);
}

}  // namespace lutra
