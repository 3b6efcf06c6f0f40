// A blocking TCP socket with time limits. Thread-safety: one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace pmt::net {

class ClientSocket {
 public:
  ClientSocket() = default;
  ~ClientSocket() { close(); }
  ClientSocket(ClientSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ClientSocket& operator=(ClientSocket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  /// `timeout_s` is for connecting and for every later wait; 0 is none.
  /// Errors: kUnavailable (with the system's reason), kDeadline.
  static base::Result<ClientSocket> connect(const std::string& host, const std::string& port, int timeout_s);

  bool is_open() const { return descriptor_ >= 0; }
  void close();
  /// Half-closes: the peer sees the end, and may still answer.
  void end_sending();
  /// Errors: kIo (the peer closed), kDeadline.
  base::Status send_all(std::string_view bytes);
  /// At least one byte, or 0 when the peer has ended. Errors: kIo, kDeadline.
  base::Result<std::size_t> receive(char* into, std::size_t size);

 private:
  explicit ClientSocket(int descriptor) : descriptor_(descriptor) {}

  int descriptor_ = -1;
};

}  // namespace pmt::net
