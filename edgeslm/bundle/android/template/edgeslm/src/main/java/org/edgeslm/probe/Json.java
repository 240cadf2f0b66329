package org.edgeslm.probe;

import java.util.Map;

/**
 * Writes JSON (RFC 8259) on one line: what a probe tells, for a program on another machine.
 *
 * <p>Everything outside ASCII is escaped, so that no terminal or shell in between can change it.
 */
public final class Json {
    private static final String HEX = "0123456789abcdef";

    private Json() {}

    /**
     * An object with its names in the order of {@code fields}.
     *
     * @param fields values are null, Boolean, Integer, Long, Double, String, an Iterable or a Map of such
     * @throws IllegalArgumentException for a number that JSON has no word for, and for any other type
     */
    public static String object(Map<String, ?> fields) {
        StringBuilder text = new StringBuilder();
        write(text, fields);
        return text.toString();
    }

    private static void write(StringBuilder text, Object value) {
        if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long) {
            text.append(value);
        } else if (value instanceof Double) {
            double number = (Double) value;
            if (Double.isNaN(number) || Double.isInfinite(number)) {
                throw new IllegalArgumentException("JSON has no word for " + number);
            }
            text.append(number);
        } else if (value instanceof String) {
            writeString(text, (String) value);
        } else if (value instanceof Map) {
            writeObject(text, (Map<?, ?>) value);
        } else if (value instanceof Iterable) {
            writeArray(text, (Iterable<?>) value);
        } else {
            throw new IllegalArgumentException("JSON has no word for " + value.getClass().getName());
        }
    }

    private static void writeObject(StringBuilder text, Map<?, ?> fields) {
        String separator = "";
        text.append('{');
        for (Map.Entry<?, ?> field : fields.entrySet()) {
            text.append(separator);
            writeString(text, (String) field.getKey());
            text.append(": ");
            write(text, field.getValue());
            separator = ", ";
        }
        text.append('}');
    }

    private static void writeArray(StringBuilder text, Iterable<?> values) {
        String separator = "";
        text.append('[');
        for (Object value : values) {
            text.append(separator);
            write(text, value);
            separator = ", ";
        }
        text.append(']');
    }

    private static void writeString(StringBuilder text, String value) {
        text.append('"');
        for (int index = 0; index < value.length(); index++) {
            char unit = value.charAt(index);
            if (unit == '"' || unit == '\\') {
                text.append('\\').append(unit);
            } else if (unit >= ' ' && unit < 0x7f) {
                text.append(unit);
            } else {
                // A pair of surrogates is two escapes; a lone one stays what it is.
                text.append("\\u");
                for (int shift = 12; shift >= 0; shift -= 4) {
                    text.append(HEX.charAt(unit >> shift & 15));
                }
            }
        }
        text.append('"');
    }
}
