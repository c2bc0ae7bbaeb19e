"""The stages around a chat call: admission, dispatch, settlement."""
