// Which store an api-server has, by its flags.
#pragma once

#include <memory>
#include <string>

#include "libs/store/open.h"
#include "services/api-server/certificates.h"
#include "services/api-server/server.h"

namespace coxswain::apiserver {

Result<std::unique_ptr<store::Store>> open_store(const ServerOptions& options,
                                                 const ServerCertificates& certificates,
                                                 const std::string& advertise_address);

}  // namespace coxswain::apiserver
