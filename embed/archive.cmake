# cmake "-DOBJECTS=a.o;..." "-DARCHIVES=b.a;..." -DSHARED=libpermutation.so -DLD=ld -DNM=nm -DOBJCOPY=... -DAR=...
#   -DREADELF=... -P archive.cmake
# makes libpermutation.a in this folder: one object of all that the shared library holds, in which nothing but permutation_*
# can be seen, as there. Beside it permutation-static.pc and PermutationSystem.cmake name the shared libraries that it needs:
# those of the shared one, since Debian has static ones of few of them.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Allocated now: an inline function that the program has as well would else be the program's, and ours, whose name is local
# by then, would not be found.
run(${LD} -r --force-group-allocation -o permutation.o ${OBJECTS} --start-group ${ARCHIVES} --end-group)
# objcopy makes no "unique" name local, only a weak one.
execute_process(COMMAND ${NM} -g --defined-only permutation.o OUTPUT_VARIABLE names COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " u [^\n]+" unique "${names}")
list(TRANSFORM unique REPLACE "^ u " "")
list(JOIN unique "\n" unique)
file(WRITE unique.txt "${unique}\n")
run(${OBJCOPY} --weaken-symbols=unique.txt permutation.o)
run(${OBJCOPY} --strip-debug --wildcard --keep-global-symbol=permutation_* permutation.o)
file(REMOVE libpermutation.a)
run(${AR} qcs libpermutation.a permutation.o)
file(REMOVE permutation.o unique.txt)

execute_process(COMMAND ${READELF} -d ${SHARED} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\\(NEEDED\\)[^\n]*" entries "${dynamic}")
set(libraries)
foreach(entry ${entries})
  string(REGEX REPLACE ".*: \\[(.*)\\]" "\\1" name "${entry}")
  if(NOT name MATCHES "^(libc|libgcc_s|ld-linux.*)\\.so") # every program has these
    list(APPEND libraries -l:${name})
  endif()
endforeach()
file(WRITE PermutationSystem.cmake "set(Permutation_SYSTEM_LIBRARIES \"${libraries}\")\n")
list(JOIN libraries " " libraries)
set(PMT_PC_LIBS "\${libdir}/libpermutation.a ${libraries}")
configure_file(permutation-static.pc.in permutation-static.pc @ONLY)
