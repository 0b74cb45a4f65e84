// How a member reaches the others. What is sent may be lost, late, doubled or out of order; who is who is
// sure: a message that is received comes from the member that it names.
#pragma once

#include <memory>

#include "libs/store/engine/engine.h"
#include "libs/store/raft/types.h"

namespace coxswain::store {

class Transport {
 public:
  // Called from the transport's threads; nothing in it waits for the disk but start_copy().
  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual void receive(raft::Message message) = 0;
    // A state arrives: its rows are written to the copy as they come, then it is handed over with its
    // message.
    virtual Result<std::unique_ptr<EngineCopy>> start_copy() = 0;
    virtual void receive_state(raft::Message message, std::unique_ptr<EngineCopy> copy) = 0;
    // Its mail ended, or mail does not get to it.
    virtual void unreachable(raft::MemberId id) = 0;
    virtual void state_sent(raft::MemberId id, bool arrived) = 0;
  };

  virtual ~Transport() = default;
  virtual Result<void> start(Receiver& receiver) = 0;  // once
  virtual void stop() = 0;                             // nothing is received once it returns
  // Any thread; never waits. To whom a message names.
  virtual void send(raft::Message message) = 0;
  // In the background, at a pace that leaves room for others; state_sent() tells how it ended.
  virtual void send_state(raft::Message message, std::unique_ptr<EngineImage> image) = 0;
};

}  // namespace coxswain::store
