file(APPEND ${RECORDED}/metadata "PACKAGED=yes\n")
