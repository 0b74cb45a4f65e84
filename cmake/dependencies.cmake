# Third-party packages; all from Debian 12. Each is linked only by the few targets that need it.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)          # headers only: Asio, Beast
find_package(OpenSSL 3.0 REQUIRED)
find_package(RocksDB CONFIG REQUIRED)      # RocksDB::rocksdb-shared
find_package(yaml-cpp REQUIRED)            # yaml-cpp
find_package(fmt REQUIRED)                 # fmt::fmt
find_package(CURL REQUIRED)                # CURL::libcurl
find_package(ZLIB REQUIRED)                # ZLIB::ZLIB
find_package(CLI11 REQUIRED)               # CLI11::CLI11
find_package(prometheus-cpp CONFIG REQUIRED) # prometheus-cpp::core
find_package(PkgConfig REQUIRED)
pkg_check_modules(NFTABLES REQUIRED IMPORTED_TARGET libnftables)  # PkgConfig::NFTABLES
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)    # PkgConfig::NGHTTP2
find_package(spdlog REQUIRED)              # spdlog::spdlog (compiled library)
