//! What is said on the wire about owned VIPs, to whom and when: answers and the announcement schedule.
