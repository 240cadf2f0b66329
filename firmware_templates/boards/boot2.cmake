# Write the linked boot2 as assembly, with the checksum that RP2040's ROM asks for (data sheet 2.8.1.3.1): CRC-32, most
# significant bit first, from all ones, nothing inverted at the end.
#
#   cmake -DPROGRAM=boot2.bin -DOUT=boot2_image.S -P boot2.cmake
file(READ "${PROGRAM}" digits HEX)
string(LENGTH "${digits}" length)
if(length GREATER 504)
  message(FATAL_ERROR "boot2 takes more than 252 bytes")
endif()
math(EXPR missing "504 - ${length}")
string(REPEAT "0" ${missing} zeros)
string(APPEND digits "${zeros}")

set(crc 0xffffffff)
foreach(place RANGE 0 502 2)
  string(SUBSTRING "${digits}" ${place} 2 byte)
  math(EXPR crc "${crc} ^ (0x${byte} << 24)")
  foreach(bit RANGE 7)
    math(EXPR crc "((${crc} << 1) ^ ((${crc} >> 31) * 0x04c11db7)) & 0xffffffff")
  endforeach()
endforeach()
math(EXPR crc "${crc}" OUTPUT_FORMAT HEXADECIMAL)

string(REGEX REPLACE "(..)(..)(..)(..)" ".word 0x\\4\\3\\2\\1\n" words "${digits}")
file(WRITE "${OUT}" ".section .boot2, \"a\"\n${words}.word ${crc}\n")
