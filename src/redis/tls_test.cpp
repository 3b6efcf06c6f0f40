// TLS against a real redis-server with certificates made here.
#include "redis/tls.h"

#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "redis/link.h"
#include "redis/test_redis.h"

namespace pmt::redis {
namespace {

/// A key and its certificate, in PEM files of a folder: signed by another, or by itself.
class Identity {
 public:
  Identity(const std::string& folder, const std::string& name, const char* alternative,
           const Identity* issuer)
      : certificate(folder + "/" + name + ".crt"),
        key(folder + "/" + name + ".key"),
        key_(EVP_EC_gen("P-256")),
        x509_(X509_new()) {
    X509_set_version(x509_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509_), std::hash<std::string>{}(name) % 1'000'000 + 1);
    X509_gmtime_adj(X509_getm_notBefore(x509_), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509_), 3600);
    X509_set_pubkey(x509_, key_);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509_), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    const Identity& by = issuer == nullptr ? *this : *issuer;
    X509_set_issuer_name(x509_, X509_get_subject_name(by.x509_));
    add(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (alternative != nullptr) add(NID_subject_alt_name, alternative);
    X509_sign(x509_, by.key_, EVP_sha256());
    write(certificate, [this](std::FILE* file) { PEM_write_X509(file, x509_); });
    write(key, [this](std::FILE* file) {
      PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  ~Identity() {
    X509_free(x509_);
    EVP_PKEY_free(key_);
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  const std::string certificate, key;  // files

 private:
  void add(int what, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, x509_, x509_, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, what, value);
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(x509_, extension, -1);
    X509_EXTENSION_free(extension);
  }
  static void write(const std::string& path, const std::function<void(std::FILE*)>& print) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    print(file);
    std::fclose(file);
  }

  EVP_PKEY* key_;
  X509* x509_;
};

class RedisTls : public testing::Test {
 protected:
  void SetUp() override {
    if (!TestRedis::is_here()) GTEST_SKIP() << "no redis-server: apt-get install redis-server";
    signal(SIGPIPE, SIG_IGN);
    std::string folder = (std::filesystem::temp_directory_path() / "pmt-redis-tls-XXXXXX").string();
    folder_ = mkdtemp(folder.data());
    authority = std::make_unique<Identity>(folder_, "authority", nullptr, nullptr);
    here = std::make_unique<Identity>(folder_, "server", "IP:127.0.0.1,DNS:cache.example", authority.get());
    us = std::make_unique<Identity>(folder_, "us", nullptr, authority.get());
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  static std::shared_ptr<const Tls> load(TlsOptions options) {
    auto tls = Tls::load(std::move(options));
    EXPECT_TRUE(tls) << tls.error().message;
    return tls.value_or(nullptr);
  }
  /// With TLS only; `asks`: for a certificate of ours.
  std::unique_ptr<TestRedis> redis(bool asks) const {
    return std::make_unique<TestRedis>(
        std::vector<std::string>{"--port", "0", "--tls-port", "PORT", "--tls-cert-file", here->certificate,
                                 "--tls-key-file", here->key, "--tls-ca-cert-file", authority->certificate,
                                 "--tls-auth-clients", asks ? "yes" : "no"},
        Login{.tls = load({.ca_file = authority->certificate,
                           .certificate_file = us->certificate,
                           .key_file = us->key})});
  }
  static std::string why_not(const TestRedis& redis, TlsOptions options) {
    const auto opened = Connection::open(redis.endpoint(), {.tls = load(std::move(options))}, in_ms(2000));
    EXPECT_FALSE(opened);
    return opened ? "" : opened.error().message;
  }

  std::string folder_;
  std::unique_ptr<Identity> authority, here, us;
};

TEST_F(RedisTls, CommandsGoThroughWhateverTheirSize) {
  const auto server = redis(false);
  ASSERT_TRUE(server->runs());
  Link link({.seed = server->endpoint(), .login = {.tls = load({.ca_file = authority->certificate})}});
  const std::string big(5'000'000, 'x');
  const auto replies =
      link.call({Command{.words = {"SET", "a", big}, .key = "a"}, Command{.words = {"GET", "a"}, .key = "a"},
                 Command{.words = {"ECHO", "b"}}},
                in_ms(20'000));
  ASSERT_TRUE(replies) << replies.error().message;
  EXPECT_EQ((*replies)[0].text, "OK");
  EXPECT_EQ((*replies)[1].text, big);
  EXPECT_EQ((*replies)[2].text, "b");
}

TEST_F(RedisTls, ACertificateIsCheckedAndSoIsWhatItIsFor) {
  const auto server = redis(false);
  ASSERT_TRUE(server->runs());
  EXPECT_NE(why_not(*server, {}).find("tls_ca"), std::string::npos)
      << "an authority that this system doesn't know";
  EXPECT_NE(why_not(*server, {.ca_file = us->certificate}).find("tls_ca"), std::string::npos);
  const std::string other =
      why_not(*server, {.ca_file = authority->certificate, .server_name = "other.example"});
  EXPECT_NE(other.find("tls_server_name"), std::string::npos) << other;
  for (const TlsOptions& good :
       {TlsOptions{.ca_file = authority->certificate, .server_name = "cache.example"},
        TlsOptions{.server_name = "other.example", .verify = false}}) {
    const auto opened = Connection::open(server->endpoint(), {.tls = load(good)}, in_ms(2000));
    EXPECT_TRUE(opened) << opened.error().message;
  }
}

TEST_F(RedisTls, ARedisThatAsksWhoWeAre) {
  const auto server = redis(true);
  ASSERT_TRUE(server->runs());
  Link nobody({.seed = server->endpoint(), .login = {.tls = load({.ca_file = authority->certificate})}});
  EXPECT_FALSE(nobody.call(Command{.words = {"PING"}}, in_ms(2000)));
  Link known({.seed = server->endpoint(),
              .login = {.tls = load({.ca_file = authority->certificate,
                                     .certificate_file = us->certificate,
                                     .key_file = us->key})}});
  const auto pong = known.call(Command{.words = {"PING"}}, in_ms(2000));
  ASSERT_TRUE(pong) << pong.error().message;
  EXPECT_EQ(pong->text, "PONG");
}

TEST_F(RedisTls, APlainRedisAndASilentOne) {
  TestRedis plain;
  ASSERT_TRUE(plain.runs());
  EXPECT_NE(why_not(plain, {.verify = false}), "");
  plain.send(SIGSTOP);
  const auto begin = std::chrono::steady_clock::now();
  const auto opened = Connection::open(plain.endpoint(), {.tls = load({.verify = false})}, in_ms(300));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, base::Code::kDeadline) << opened.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  plain.send(SIGCONT);
}

TEST_F(RedisTls, FilesThatAreNone) {
  const auto refused = [](TlsOptions options) {
    const auto tls = Tls::load(std::move(options));
    EXPECT_FALSE(tls);
    return tls ? "" : tls.error().field + ": " + tls.error().message;
  };
  const std::string empty = folder_ + "/empty";
  std::ofstream(empty).flush();
  EXPECT_EQ(refused({.ca_file = folder_ + "/none"}).substr(0, 16), "tls_ca: tls_ca: ");
  EXPECT_NE(refused({.ca_file = empty}).find("PEM"), std::string::npos);
  EXPECT_NE(refused({.certificate_file = us->certificate}).find("go together"), std::string::npos);
  EXPECT_NE(refused({.certificate_file = us->certificate, .key_file = here->key}).find("tls_key"),
            std::string::npos);
}

TEST_F(RedisTls, AUnixSocket) {
  TestRedis redis({"--unixsocket", "FOLDER/s.sock"});
  ASSERT_TRUE(redis.runs());
  Link link({.seed = {.socket = redis.folder() + "/s.sock"}, .login = {}});
  const auto pong = link.call(Command{.words = {"PING"}}, in_ms(2000));
  ASSERT_TRUE(pong) << pong.error().message;
  EXPECT_EQ(pong->text, "PONG");
  Link none({.seed = {.socket = redis.folder() + "/none.sock"}, .login = {}});
  const auto refused = none.call(Command{.words = {"PING"}}, in_ms(2000));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("none.sock"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace pmt::redis
