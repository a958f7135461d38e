#pragma once

#include <hdf5.h>

#include <stdexcept>
#include <string>
#include <utility>

/// HDF5 objects that close themselves. For modules that link HDF5.
namespace grapes::hdf5 {

/// An error of HDF5. It is caught and thrown again with the name of the file.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Object {
 public:
  using Close = herr_t (*)(hid_t);
  /// @throws Refused if the id is invalid
  Object(hid_t id, Close close, const std::string& what) : id_(id), close_(close) {
    if (id < 0) throw Refused("cannot open " + what);
  }
  Object(Object&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  Object& operator=(Object&&) = delete;
  ~Object() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  Close close_;
};

inline void must(bool done, const std::string& what) {
  if (!done) throw Refused("cannot " + what);
}

/// Suppresses HDF5's messages on stderr during its lifetime.
class Silence {
 public:
  Silence() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// The type of variable-length text, UTF-8.
inline Object text_type() {
  Object type(H5Tcopy(H5T_C_S1), H5Tclose, "a type of text");
  must(H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0, "make a type of text");
  return type;
}

/// Access to files in memory: HDF5's core driver without a file on disk.
inline Object in_memory() {
  Object access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "a list of properties");
  must(H5Pset_fapl_core(access, std::size_t{1} << 16, 0) >= 0, "create a file in memory");
  return access;
}

}  // namespace grapes::hdf5
