// Which store an api-server has, by its flags.
#pragma once

#include <memory>
#include <string>

#include "libs/store/open.h"
#include "services/api-server/certificates.h"
#include "services/api-server/server.h"

namespace coxswain::apiserver {

// Whether other api-servers may have the same store.
bool may_share_store(const ServerOptions& options);

// Which member of a group the data directory is: as --member-id says, or one that took its place. 0: of none.
Result<std::uint64_t> store_member_id(const ServerOptions& options);

Result<std::unique_ptr<store::Store>> open_store(const ServerOptions& options,
                                                 const ServerCertificates& certificates,
                                                 const std::string& advertise_address);

}  // namespace coxswain::apiserver
