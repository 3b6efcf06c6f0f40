// Programs that want out, or want us down. Each must end inside its limits with an error that says what
// happened, and the sandbox must serve the next session as if nothing had been.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/sandbox.h"
#include "sandbox/test_sandbox.h"

namespace pmt::sandbox {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

const Limits kTight = {.block_s = 1,
                       .memory_bytes = 256ULL << 20,
                       .frame_bytes_max = 1 << 20,
                       .block_bytes_max = 4 << 20,
                       .block_calls_max = 20};

class Hostile : public KindTest {
 protected:
  void SetUp() override { open(kTight, {.context = "", .functions = {"llm_query"}}); }
  void TearDown() override {
    if (!sandbox_ || IsSkipped()) return;
    const auto next = sandbox_->session({.context = "fine", .functions = {}});
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_EQ((*next)->run("print(context)", call_, {})->output, "fine\n");
  }
  /// Runs one and returns it; the test fails if it took much longer than its limits, a busy machine allowed
  /// for.
  BlockResult attack(const std::string& code) {
    const auto begin = std::chrono::steady_clock::now();
    BlockResult block = run(code);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
    return block;
  }
  void expect_error(const std::string& code, const std::string& says) {
    EXPECT_THAT(attack(code).error, HasSubstr(says)) << code;
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, Hostile, kKinds, kind_name);

/// The tricks that need a real Python.
class HostilePython : public Hostile {
 protected:
  void SetUp() override { Hostile::SetUp(); }
};
INSTANTIATE_TEST_SUITE_P(Kinds, HostilePython, testing::Values(Kind::kBubblewrap), kind_name);

TEST_P(Hostile, ReadsNoFileOfTheHost) {
  const std::string secret = testing::TempDir() + "/sandbox_secret";
  std::ofstream(secret) << "the host's secret";
  for (const std::string& path : {std::string("/etc/passwd"), std::string("/proc/self/environ"), secret}) {
    const BlockResult block = attack("print(open('" + path + "').read())");
    EXPECT_THAT(block.error, AnyOf(HasSubstr("FileNotFoundError"), HasSubstr("PermissionError"))) << path;
    EXPECT_EQ(block.output, "");
  }
  unlink(secret.c_str());
}

TEST_P(HostilePython, TheFileSystemIsPythonsOwnAndReadOnly) {
  EXPECT_EQ(attack("import os\nprint(sorted(os.listdir('/')))").output.find("etc"), std::string::npos);
  expect_error("open('/escape', 'w').write('x')", "OSError");
  expect_error("import os\nos.mkdir('/d')", "Error");
  setenv("PMT_TEST_KEY", "sk-secret", 1);
  open(kTight);
  EXPECT_EQ(attack("import os\nprint(sorted(set(os.environ) - {'PWD', 'LC_CTYPE'}))").output, "[]\n")
      << "our environment holds keys";
  unsetenv("PMT_TEST_KEY");
}

TEST_P(HostilePython, HasNoDescriptorOfOurs) {
  // A socket without close-on-exec, as HTTP libraries make them.
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  open(kTight);
  EXPECT_EQ(
      attack("import os\nfound = []\nfor fd in range(256):\n  try:\n    os.fstat(fd)\n    found.append(fd)\n"
             "  except OSError:\n    pass\nprint(found)")
          .output,
      "[0, 1, 2, 3]\n");
  close(listening);
}

TEST_P(HostilePython, HasNoNetwork) {
  expect_error("import socket\nsocket.socket()", "PermissionError");
  expect_error("import socket\nsocket.socket(socket.AF_UNIX)", "PermissionError");
  expect_error("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/')", "PermissionError");
}
TEST_P(Hostile, ImportsNoWayOut) {
  if (GetParam() == Kind::kBubblewrap) GTEST_SKIP() << "has modules, behind the filter: see the other tests";
  for (const std::string module : {"socket", "subprocess", "ctypes", "multiprocessing"}) {
    EXPECT_THAT(attack("import " + module + "\nprint(" + module + ".__name__)").error, HasSubstr("Error"));
  }
}

TEST_P(HostilePython, StartsNoProcess) {
  expect_error("import os\nwhile True:\n  os.fork()", "PermissionError");
  expect_error("import subprocess\nsubprocess.run(['/usr/bin/python3', '-c', '1'])", "Error");
  expect_error("import os\nos.posix_spawn('/usr/bin/python3', ['p'], {})", "Error");
}

TEST_P(HostilePython, AThreadBombIsBounded) {
  const BlockResult block = attack(
      "import threading, time\nn = 0\ntry:\n  while True:\n    threading.Thread(target=time.sleep, "
      "args=(60,), "
      "daemon=True).start()\n    n += 1\nexcept (RuntimeError, MemoryError) as e:\n  print('stopped', n < "
      "1000)");
  EXPECT_TRUE(block.output == "stopped True\n" || block.ended || !block.error.empty())
      << block.output << block.error;
}

TEST_P(Hostile, AMemoryBombIsAMemoryError) {
  Limits patient = kTight;
  patient.block_s = 6;  // so that on a busy machine memory ends before time does
  open(patient);
  expect_error("x = 'a' * (1 << 30)", "MemoryError");
  open(patient);
  expect_error("x = []\nwhile True:\n  x.append('a' * 10000000 + str(len(x)))", "MemoryError");
}

TEST_P(Hostile, AnEndlessLoopIsStopped) {
  EXPECT_THAT(attack("x = 5\nwhile True:\n  pass").error, HasSubstr("TimeoutError"));
}
TEST_P(HostilePython, AnEndlessLoopLeavesTheVariables) {
  attack("x = 5\nwhile True:\n  pass");
  EXPECT_EQ(attack("print(x)").output, "5\n");
}
TEST_P(HostilePython, ALoopThatCatchesEverythingIsEnded) {
  const BlockResult block =
      attack("while True:\n  try:\n    while True:\n      x = 1\n  except BaseException: pass");
  EXPECT_TRUE(block.ended);
  EXPECT_THAT(block.error, HasSubstr("did not stop at its limit of 1 s"));
  EXPECT_FALSE(session_->run("1", call_, {})) << "an ended session stays ended";
}
TEST_P(HostilePython, BlockingTheTimerDoesNotHelp) {
  EXPECT_TRUE(
      attack(
          "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nsignal.pthread_sigmask(signal.SIG_BLOCK, "
          "range(1, 32))\nwhile True: pass")
          .ended);
  open(kTight);
  EXPECT_TRUE(attack("x = sum(range(10 ** 12))").ended) << "C code that never looks at signals";
}

TEST_P(Hostile, AnOutputFloodIsCut) {
  const BlockResult block = attack("for i in range(3000):\n  print('x' * 1000)");
  EXPECT_EQ(block.output.size(), 20'000U);
  EXPECT_EQ(block.output_chars, 3'003'000);
}
TEST_P(HostilePython, AFloodPastTheCaptureGoesNowhere) {
  EXPECT_EQ(
      attack("import os\nfor i in range(1000):\n  os.write(1, b'x' * 65536)\n  os.write(2, b'x' * 65536)")
          .error,
      "");
}

TEST_P(HostilePython, SignalsReachNobody) {
  expect_error("import os\nos.kill(1, 9)", "PermissionError");
  expect_error("import os\nos.kill(-1, 9)", "PermissionError");
  expect_error("import os\nos.kill(os.getppid(), 15)", "PermissionError");
}

TEST_P(HostilePython, EndingItselfIsTold) {
  const BlockResult gone = attack("import os\nos._exit(3)");
  EXPECT_TRUE(gone.ended);
  EXPECT_THAT(gone.error, HasSubstr("ended its own process: exit status 3"));
  open(kTight);
  EXPECT_TRUE(attack("import ctypes\nctypes.string_at(0)").ended || !attack("print(1)").output.empty());
  open(kTight);
  EXPECT_THAT(attack("import sys\nsys.exit(0)").error, HasSubstr("SystemExit"));
  EXPECT_EQ(attack("print('still here')").output, "still here\n");
}
TEST_P(Hostile, DeepRecursionIsAnError) {
  EXPECT_THAT(attack("def f(n):\n  return f(n + 1)\nf(0)").error, HasSubstr("RecursionError"));
}

TEST_P(HostilePython, RawSystemCallsAreFiltered) {
  // unshare, mount, ptrace, bpf, io_uring_setup, userfaultfd, keyctl, perf_event_open, memfd_create,
  // process_vm_readv
  const BlockResult block = attack(
      "import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\nwrong = []\n"
      "for number in (272, 165, 101, 321, 425, 323, 250, 298, 319, 310, 41, 57, 58, 62, 200, 317, 157):\n"
      "  if libc.syscall(number, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.EPERM: "
      "wrong.append(number)\n"
      "print(wrong)");
#ifdef __x86_64__
  EXPECT_TRUE(block.output == "[]\n" || block.error.find("ModuleNotFoundError") != std::string::npos ||
              block.error.find("ImportError") != std::string::npos)
      << block.output << block.error;
#endif
}

TEST_P(HostilePython, LimitsCanNotBeRaised) {
  expect_error("import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))", "Error");
}

// The call-back channel: the only thing that the program can reach.
TEST_P(HostilePython, ForgedFramesEndTheProgram) {
  struct Forgery {
    std::string bytes, says;
  };
  for (const Forgery& forged : {
           Forgery{"b'not json\\n'", "not JSON"},
           Forgery{"b'[1]\\n'", "not a JSON object"},
           Forgery{"b'[' * 500000 + b'\\n'", "deeper than 64 levels"},
           Forgery{R"(b'{"op":"done","id":1,"ended":' + b'[' * 400000 + b']' * 400000 + b'}\n')",
                   "deeper than 64 levels"},
           Forgery{R"(b'{"op": "hello"}\n')", "no known kind"},
           Forgery{R"(b'{"op": 7}\n')", "without a text 'op'"},
           Forgery{R"(b'{"op": "done", "id": 99}\n')", "another block"},
           Forgery{R"(b'{"op": "call", "block": 1, "function": 5}\n')", "without a text 'function'"},
           Forgery{R"(b'{"op": "call", "block": 1, "function": "f", "id": 1, "arguments": "x"}\n')",
                   "without id"},
           Forgery{R"(b'{"op": "done", "id": 1, "output": 5}\n')", "without a text"},
           Forgery{R"(b'{"op":"done","id":1,"output":"","error":"","output_chars":0,"variables":[1]}\n')",
                   "names"},
           Forgery{"b'x' * 3000000", "more than 1048576 bytes"},
           Forgery{"__import__('pickle').dumps(print) + b'\\n'", "not JSON"},
       }) {
    open(kTight);
    const BlockResult block = attack("import os\nos.write(3, " + forged.bytes + ")\nwhile True: pass");
    EXPECT_TRUE(block.ended) << forged.bytes;
    EXPECT_THAT(block.error, HasSubstr(forged.says)) << forged.bytes;
  }
}

TEST_P(HostilePython, AForgedResultChangesOnlyItsOwnBlock) {
  const BlockResult forged = attack(
      "import os\nos.write(3, "
      "b'{\"op\":\"done\",\"id\":1,\"output\":\"forged\",\"error\":\"\",\"output_chars\":6}\\n')");
  EXPECT_EQ(forged.output, "forged") << "its own result is its own to lie about";
  const BlockResult next = attack("print('next')");
  EXPECT_TRUE(next.ended);
  EXPECT_THAT(next.error, HasSubstr("another block"));
}

TEST_P(HostilePython, TheHostFunctionsThatExistAreTheOnesNamed) {
  call_ = [](const std::string& function, const json&) -> base::Result<json> {
    return base::Error{base::Code::kNotFound, "no function " + function};
  };
  const BlockResult block = attack(
      "import os\nos.write(3, "
      "b'{\"op\":\"call\",\"block\":1,\"id\":1,\"function\":\"os.system\",\"arguments\":{}}\\n')\n"
      "print(os.read(3, 1000))");
  EXPECT_THAT(block.output, HasSubstr("no function os.system"));
}

TEST_P(HostilePython, NotReadingTheReplyEndsIt) {
  call_ = [](const std::string&, const json&) -> base::Result<json> { return std::string(4 << 20, 'x'); };
  const BlockResult block = attack(
      "import os\nfor i in range(9):\n  os.write(3, "
      "b'{\"op\":\"call\",\"block\":1,\"id\":1,\"function\":\"llm_query\",\"arguments\":{}}\\n')\nsum(range("
      "10 ** 12))");
  EXPECT_TRUE(block.ended) << block.error << block.output;
}

TEST_P(Hostile, ASubCallFloodIsRefused) {
  int asked = 0;
  call_ = [&asked](const std::string&, const json&) -> base::Result<json> { return ++asked; };
  const BlockResult block = attack("for i in range(50):\n  llm_query('more')");
  EXPECT_EQ(asked, 20);
  EXPECT_THAT(block.error, HasSubstr("a block may make 20 calls"));
}
TEST_P(Hostile, AFloodThatSwallowsTheRefusalIsEnded) {
  const BlockResult block =
      attack("while True:\n  try:\n    llm_query('more')\n  except Exception:\n    pass");
  EXPECT_TRUE(block.ended);
}
TEST_P(Hostile, ManyLargeCallsAreTooManyBytes) {
  Limits patient = kTight;  // the bytes are to end it, not a busy machine
  patient.block_s = 60;
  open(patient, {.context = "", .functions = {"llm_query"}});
  const BlockResult block = run("for i in range(20):\n  llm_query('x' * 900000)");
  EXPECT_TRUE(block.ended);
  EXPECT_THAT(block.error, HasSubstr("bytes sent in one block"));
}

}  // namespace
}  // namespace pmt::sandbox
