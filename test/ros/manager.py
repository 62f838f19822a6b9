# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_process import PATIENCE
from peer import answered
from std_srvs.srv import SetBool

CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
CLEANUP = Transition.TRANSITION_CLEANUP
SHUTDOWN = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}

# From the state unconfigured.
WAYS = {
    "unconfigured": [],
    "inactive": [CONFIGURE],
    "active": [CONFIGURE, ACTIVATE],
    "finalized": [SHUTDOWN["unconfigured"]],
}


class Manager:
    """A lifecycle client of a pose node: what nav2's lifecycle manager does, by number."""

    def __init__(self, node, name):
        self._node = node
        services = {
            "change_state": (ChangeState, f"{name}/change_state"),
            "enable": (SetBool, f"{name.rpartition('/')[0]}/enable"),
            "get_state": (GetState, f"{name}/get_state"),
        }
        self._clients = {each: node.create_client(*services[each]) for each in services}
        self._greeted = False

    def close(self):
        for client in self._clients.values():
            self._node.destroy_client(client)

    def ask(self, service, request):
        """Return the future of a service's answer."""
        if not self._greeted:
            self._greet()
        return self._clients[service].call_async(request)

    def _greet(self):
        """Wait until the node answers: it discovers the newest client last."""
        for client in self._clients.values():
            assert client.wait_for_service(PATIENCE)
        last = self._clients["get_state"]
        answered(self._node, lambda: last.call_async(GetState.Request()))
        self._greeted = True

    def answer(self, service, request):
        future = self.ask(service, request)
        rclpy.spin_until_future_complete(self._node, future, timeout_sec=PATIENCE)
        assert future.done(), f"no answer of {service}"
        return future.result()

    def change(self, transition):
        """Ask for a transition; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.answer("change_state", request).success

    def go(self, *transitions):
        for transition in transitions:
            assert self.change(transition), f"{transition} from {self.state()}"

    def state(self):
        return self.answer("get_state", GetState.Request()).current_state.label

    def enable(self, on):
        return self.answer("enable", SetBool.Request(data=on))
