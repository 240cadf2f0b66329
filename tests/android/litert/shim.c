/* LiteRT's Java classes on this machine: the natives of the classes beside it, over the C interface of the
 * library that the ai-edge-litert wheel carries (2.3.0, which has no headers: declared here is what is called).
 *
 * What crosses the border crosses it as in LiteRT's own JNI library: arrays are copied whole, written ones twice
 * (Get...ArrayElements, then into the buffer), tensors are found by name at every run. So what a step costs outside of
 * the runtime is measured as it is on a phone.
 */
#include <jni.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Status;
typedef void *Handle;
typedef struct { int type; int64_t value; } Any;
typedef struct { int tag; Any value; } EnvironmentOption;
typedef struct {
  int element;
  struct { unsigned rank : 7; unsigned has_strides : 1; int32_t dimensions[8]; uint32_t strides[8]; } layout;
} TensorType;

enum { CPU = 1, RUNTIME_PATH = 22, ACCELERATORS = 24, INTEGER = 2, STRING = 8 };
enum { FAILED = 3, NOT_FOUND = 6, INVALID = 1 };
enum { READ = 0, WRITE = 1 };

Status LiteRtCreateEnvironment(int count, const EnvironmentOption *options, Handle *environment);
Status LiteRtCreateModelFromFile(Handle environment, const char *path, Handle *model);
Status LiteRtCreateModelFromBuffer(Handle environment, const void *bytes, size_t size, Handle *model);
void LiteRtDestroyModel(Handle model);
Status LiteRtGetNumModelSignatures(Handle model, size_t *count);
Status LiteRtGetModelSignature(Handle model, size_t index, Handle *signature);
Status LiteRtGetSignatureKey(Handle signature, const char **key);
Status LiteRtGetNumSignatureInputs(Handle signature, size_t *count);
Status LiteRtGetNumSignatureOutputs(Handle signature, size_t *count);
Status LiteRtGetSignatureInputName(Handle signature, size_t index, const char **name);
Status LiteRtGetSignatureOutputName(Handle signature, size_t index, const char **name);
Status LiteRtGetSignatureInputTensorByIndex(Handle signature, size_t index, Handle *tensor);
Status LiteRtGetSignatureOutputTensorByIndex(Handle signature, size_t index, Handle *tensor);
Status LiteRtGetRankedTensorType(Handle tensor, TensorType *type);
Status LiteRtCreateOptions(Handle *options);
void LiteRtDestroyOptions(Handle options);
Status LiteRtSetOptionsHardwareAccelerators(Handle options, int accelerators);
Status LiteRtCreateOpaqueOptions(const char *identifier, void *payload, void (*release)(void *), Handle *opaque);
Status LiteRtAddOpaqueOptions(Handle options, Handle opaque);
Status LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle *compiled);
void LiteRtDestroyCompiledModel(Handle compiled);
Status LiteRtGetCompiledModelInputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *wanted);
Status LiteRtGetCompiledModelOutputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *wanted);
Status LiteRtCreateManagedTensorBufferFromRequirements(Handle environment, const TensorType *type, Handle wanted,
                                                       Handle *buffer);
void LiteRtDestroyTensorBuffer(Handle buffer);
Status LiteRtGetTensorBufferPackedSize(Handle buffer, size_t *size);
Status LiteRtLockTensorBuffer(Handle buffer, void **address, int mode);
Status LiteRtUnlockTensorBuffer(Handle buffer);
Status LiteRtRunCompiledModel(Handle compiled, size_t signature, size_t inputs, Handle *input, size_t outputs,
                              Handle *output);

#define NATIVE(result, class, name) \
  JNIEXPORT result JNICALL Java_com_google_ai_edge_litert_##class##_##name

typedef struct { Handle model; void *bytes; } Model;

static Handle environment;

static void fail(JNIEnv *env, int status, const char *message) {
  jclass kind = (*env)->FindClass(env, "com/google/ai/edge/litert/LiteRtException");
  jmethodID make = kind ? (*env)->GetMethodID(env, kind, "<init>", "(ILjava/lang/String;)V") : NULL;
  jstring text = make ? (*env)->NewStringUTF(env, message) : NULL;
  if (text) (*env)->Throw(env, (*env)->NewObject(env, kind, make, status, text));
}

static bool succeeded(JNIEnv *env, Status status, const char *message) {
  if (status != 0) fail(env, status, message);
  return status == 0;
}

/* The CPU alone, and a folder without plugins, so that none for a GPU is looked for. */
static bool started(JNIEnv *env) {
  if (environment) return true;
  EnvironmentOption options[] = {{ACCELERATORS, {INTEGER, CPU}}, {RUNTIME_PATH, {STRING, (intptr_t) "/nowhere"}}};
  return succeeded(env, LiteRtCreateEnvironment(2, options, &environment), "Failed to create environment");
}

NATIVE(jlong, Model, nativeLoadFile)(JNIEnv *env, jclass class, jstring path) {
  if (!started(env)) return 0;
  const char *name = (*env)->GetStringUTFChars(env, path, NULL);
  Model *made = calloc(1, sizeof *made);
  Status status = LiteRtCreateModelFromFile(environment, name, &made->model);
  (*env)->ReleaseStringUTFChars(env, path, name);
  if (succeeded(env, status, "Failed to create model from file")) return (jlong)(intptr_t)made;
  free(made);
  return 0;
}

/* As with an asset: the model is in memory of its own for as long as it lives. */
NATIVE(jlong, Model, nativeLoadBytes)(JNIEnv *env, jclass class, jbyteArray content) {
  if (!started(env)) return 0;
  jsize size = (*env)->GetArrayLength(env, content);
  Model *made = calloc(1, sizeof *made);
  made->bytes = aligned_alloc(64, (size + 63) / 64 * 64);
  (*env)->GetByteArrayRegion(env, content, 0, size, made->bytes);
  Status status = LiteRtCreateModelFromBuffer(environment, made->bytes, size, &made->model);
  if (succeeded(env, status, "Failed to create model from asset")) return (jlong)(intptr_t)made;
  free(made->bytes);
  free(made);
  return 0;
}

NATIVE(void, Model, nativeDestroy)(JNIEnv *env, jclass class, jlong handle) {
  Model *model = (Model *)(intptr_t)handle;
  LiteRtDestroyModel(model->model);
  free(model->bytes);
  free(model);
}

NATIVE(jlong, CompiledModel, nativeCreate)(JNIEnv *env, jclass class, jlong model, jstring cpu_options) {
  Handle options = NULL, opaque = NULL, compiled = NULL;
  const char *given = (*env)->GetStringUTFChars(env, cpu_options, NULL);
  Status status = LiteRtCreateOptions(&options);
  if (status == 0) status = LiteRtSetOptionsHardwareAccelerators(options, CPU);
  if (status == 0) status = LiteRtCreateOpaqueOptions("xnnpack", strdup(given), free, &opaque);
  if (status == 0) status = LiteRtAddOpaqueOptions(options, opaque);
  Handle loaded = ((Model *)(intptr_t)model)->model;
  if (status == 0) status = LiteRtCreateCompiledModel(environment, loaded, options, &compiled);
  (*env)->ReleaseStringUTFChars(env, cpu_options, given);
  if (options) LiteRtDestroyOptions(options);
  return succeeded(env, status, "Failed to create compiled model") ? (jlong)(intptr_t)compiled : 0;
}

NATIVE(void, CompiledModel, nativeDestroy)(JNIEnv *env, jclass class, jlong handle) {
  LiteRtDestroyCompiledModel((Handle)(intptr_t)handle);
}

/* The signature's place in the model; -1 with an exception where there is none. NULL is the first. */
static long signature_index(JNIEnv *env, Handle model, jstring signature, Handle *found) {
  const char *wanted = signature ? (*env)->GetStringUTFChars(env, signature, NULL) : NULL, *key = NULL;
  size_t count = 0, index = 0;
  LiteRtGetNumModelSignatures(model, &count);
  for (; index < count; index++) {
    if (LiteRtGetModelSignature(model, index, found) != 0 || LiteRtGetSignatureKey(*found, &key) != 0) continue;
    if (!wanted || strcmp(key, wanted) == 0) break;
  }
  if (wanted) (*env)->ReleaseStringUTFChars(env, signature, wanted);
  if (index < count) return (long)index;
  fail(env, NOT_FOUND, "Failed to find signature");
  return -1;
}

NATIVE(jlong, CompiledModel, nativeCreateBuffer)(JNIEnv *env, jclass class, jlong handle, jlong model,
                                                 jstring signature, jstring name, jboolean input) {
  Handle found = NULL, tensor = NULL, wanted = NULL, buffer = NULL, compiled = (Handle)(intptr_t)handle;
  long index = signature_index(env, ((Model *)(intptr_t)model)->model, signature, &found);
  if (index < 0) return 0;
  size_t count = 0, place = 0;
  const char *key = (*env)->GetStringUTFChars(env, name, NULL), *known = NULL;
  input ? LiteRtGetNumSignatureInputs(found, &count) : LiteRtGetNumSignatureOutputs(found, &count);
  for (; place < count; place++) {
    input ? LiteRtGetSignatureInputName(found, place, &known) : LiteRtGetSignatureOutputName(found, place, &known);
    if (strcmp(key, known) == 0) break;
  }
  (*env)->ReleaseStringUTFChars(env, name, key);
  if (place == count) {
    fail(env, NOT_FOUND, "Failed to find tensor");
    return 0;
  }
  TensorType type;
  memset(&type, 0, sizeof type);
  Status status = input ? LiteRtGetSignatureInputTensorByIndex(found, place, &tensor)
                        : LiteRtGetSignatureOutputTensorByIndex(found, place, &tensor);
  if (status == 0) status = LiteRtGetRankedTensorType(tensor, &type);
  if (status == 0)
    status = input ? LiteRtGetCompiledModelInputBufferRequirements(compiled, index, place, &wanted)
                   : LiteRtGetCompiledModelOutputBufferRequirements(compiled, index, place, &wanted);
  if (status == 0) status = LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, wanted, &buffer);
  return succeeded(env, status, "Failed to create buffer") ? (jlong)(intptr_t)buffer : 0;
}

static uint32_t hashed(const char *text) {
  uint32_t hash = 2166136261u;
  while (*text) hash = (hash ^ (unsigned char)*text++) * 16777619u;
  return hash;
}

/* The handles in the signature's own order, found by name in a table of at least twice their number. */
static bool in_order(JNIEnv *env, Handle signature, bool input, jobjectArray names, jlongArray handles, Handle *ordered,
                     size_t count) {
  size_t given = (*env)->GetArrayLength(env, names), slots = 4;
  (*env)->EnsureLocalCapacity(env, (jint)given + 8);
  while (slots < 2 * given) slots *= 2;
  struct { jstring text; const char *name; } *kept = calloc(given + 1, sizeof *kept);
  size_t *table = calloc(slots, sizeof *table); /* place in `kept`, plus 1 */
  jlong *values = (*env)->GetLongArrayElements(env, handles, NULL);
  for (size_t i = 0; i < given; i++) {
    kept[i].text = (*env)->GetObjectArrayElement(env, names, i);
    kept[i].name = (*env)->GetStringUTFChars(env, kept[i].text, NULL);
    size_t slot = hashed(kept[i].name) & (slots - 1);
    while (table[slot]) slot = (slot + 1) & (slots - 1);
    table[slot] = i + 1;
  }
  bool all = true;
  for (size_t i = 0; i < count && all; i++) {
    const char *name = "";
    input ? LiteRtGetSignatureInputName(signature, i, &name) : LiteRtGetSignatureOutputName(signature, i, &name);
    size_t slot = hashed(name) & (slots - 1);
    while (table[slot] && strcmp(kept[table[slot] - 1].name, name) != 0) slot = (slot + 1) & (slots - 1);
    all = table[slot] != 0;
    if (all) ordered[i] = (Handle)(intptr_t)values[table[slot] - 1];
  }
  (*env)->ReleaseLongArrayElements(env, handles, values, JNI_ABORT);
  for (size_t i = 0; i < given; i++) {
    (*env)->ReleaseStringUTFChars(env, kept[i].text, kept[i].name);
    (*env)->DeleteLocalRef(env, kept[i].text);
  }
  free(table);
  free(kept);
  return all;
}

NATIVE(void, CompiledModel, nativeRun)(JNIEnv *env, jclass class, jlong handle, jlong model, jstring signature,
                                       jobjectArray input_names, jlongArray inputs, jobjectArray output_names,
                                       jlongArray outputs) {
  Handle found = NULL;
  long index = signature_index(env, ((Model *)(intptr_t)model)->model, signature, &found);
  if (index < 0) return;
  size_t in = 0, out = 0;
  LiteRtGetNumSignatureInputs(found, &in);
  LiteRtGetNumSignatureOutputs(found, &out);
  Handle *buffers = calloc(in + out + 1, sizeof *buffers);
  if (in_order(env, found, true, input_names, inputs, buffers, in) &&
      in_order(env, found, false, output_names, outputs, buffers + in, out)) {
    Status status = LiteRtRunCompiledModel((Handle)(intptr_t)handle, index, in, buffers, out, buffers + in);
    succeeded(env, status, "Failed to run");
  } else {
    fail(env, INVALID, "A tensor of the signature was given no buffer");
  }
  free(buffers);
}

NATIVE(void, TensorBuffer, nativeDestroy)(JNIEnv *env, jclass class, jlong handle) {
  LiteRtDestroyTensorBuffer((Handle)(intptr_t)handle);
}

static void copy_in(JNIEnv *env, jlong handle, const void *from, size_t size) {
  Handle buffer = (Handle)(intptr_t)handle;
  size_t room = 0;
  void *to = NULL;
  if (!succeeded(env, LiteRtGetTensorBufferPackedSize(buffer, &room), "Failed to get size")) return;
  if (room < size) {
    fail(env, FAILED, "Failed to write: more than the tensor buffer holds");
    return;
  }
  if (!succeeded(env, LiteRtLockTensorBuffer(buffer, &to, WRITE), "Failed to lock")) return;
  memcpy(to, from, size);
  LiteRtUnlockTensorBuffer(buffer);
}

#define ACCESS(Kind, Name, type, array)                                                                   \
  NATIVE(void, TensorBuffer, nativeWrite##Name)(JNIEnv *env, jclass class, jlong handle, array given) {   \
    jsize count = (*env)->GetArrayLength(env, given);                                                     \
    type *values = (*env)->Get##Kind##ArrayElements(env, given, NULL);                                    \
    copy_in(env, handle, values, count * sizeof(type));                                                   \
    (*env)->Release##Kind##ArrayElements(env, given, values, JNI_ABORT);                                  \
  }                                                                                                       \
  NATIVE(array, TensorBuffer, nativeRead##Name)(JNIEnv *env, jclass class, jlong handle) {                \
    Handle buffer = (Handle)(intptr_t)handle;                                                             \
    size_t size = 0;                                                                                      \
    void *from = NULL;                                                                                    \
    if (!succeeded(env, LiteRtGetTensorBufferPackedSize(buffer, &size), "Failed to get size")) return 0;  \
    if (!succeeded(env, LiteRtLockTensorBuffer(buffer, &from, READ), "Failed to lock")) return 0;         \
    array made = (*env)->New##Kind##Array(env, size / sizeof(type));                                      \
    if (made) (*env)->Set##Kind##ArrayRegion(env, made, 0, size / sizeof(type), from);                    \
    LiteRtUnlockTensorBuffer(buffer);                                                                     \
    return made;                                                                                          \
  }

ACCESS(Int, Int, jint, jintArray)
ACCESS(Float, Float, jfloat, jfloatArray)
ACCESS(Byte, Int8, jbyte, jbyteArray)
ACCESS(Boolean, Boolean, jboolean, jbooleanArray)
ACCESS(Long, Long, jlong, jlongArray)
