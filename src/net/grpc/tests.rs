use super::Channel;
