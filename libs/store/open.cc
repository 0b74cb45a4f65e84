#include "libs/store/open.h"

#include "libs/store/model/model_store.h"

namespace coxswain::store {

Result<std::unique_ptr<Store>> open_memory_store(MemoryStoreOptions) { return make_model_store(); }

Result<std::unique_ptr<Store>> open_local_store(LocalStoreOptions) {
  return make_error(ErrorCode::kUnimplemented, "the local store is not built yet");
}

}  // namespace coxswain::store
