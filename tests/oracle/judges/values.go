// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	cliflag "k8s.io/component-base/cli/flag"
	netutils "k8s.io/utils/net"
)

// judgeValue reads a text as the value of a flag of a form, and prints what it read.
func judgeValue(form, text string) answer {
	value, err := readValue(form, text)
	if err != nil {
		return failed(err)
	}
	return answer{Value: value, Effect: true}
}

func readValue(form, text string) (string, error) {
	switch form {
	case "boolean":
		value, err := strconv.ParseBool(text)
		return fmt.Sprint(value), err
	case "integer":
		value, err := strconv.ParseInt(text, 0, 64)
		return fmt.Sprint(value), err
	case "unsigned":
		value, err := strconv.ParseUint(text, 0, 64)
		return fmt.Sprint(value), err
	case "duration":
		value, err := time.ParseDuration(text)
		return fmt.Sprint(value.Nanoseconds()), err
	case "address":
		value := net.ParseIP(strings.TrimSpace(text))
		if value == nil {
			return "", errors.New("no address")
		}
		return fmt.Sprintf("%x", []byte(value.To16())), nil
	case "list":
		value, err := csv.NewReader(strings.NewReader(text)).Read()
		if err == io.EOF && text == "" {
			err = nil
		}
		return strings.Join(value, "\x00"), err
	case "map", "thresholds":
		value := map[string]string{}
		err := cliflag.NewMapStringString(&value).Set(text)
		if form == "thresholds" {
			err = cliflag.NewLangleSeparatedMapStringString(&value).Set(text)
		}
		return printed(value), err
	case "quantity":
		value, err := resource.ParseQuantity(text)
		if err != nil {
			return "", err
		}
		return nanos(value), nil
	case "cidr":
		address, block, err := netutils.ParseCIDRSloppy(text)
		if err != nil {
			return "", err
		}
		ones, bits := block.Mask.Size()
		return fmt.Sprintf("%x/%d of %d", []byte(address.To16()), ones, bits), nil
	case "port-range":
		value, err := utilnet.ParsePortRange(text)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d+%d", value.Base, value.Size), nil
	}
	return "", errors.New("no such form: " + form)
}

func printed(pairs map[string]string) string {
	var lines []string
	for name, value := range pairs {
		lines = append(lines, name+"\x00"+value)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\x01")
}

// most is the largest number of billionths that is told apart.
var most = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))

// nanos prints a quantity in billionths.
func nanos(value resource.Quantity) string {
	amount := value.AsDec()
	unscaled := new(big.Int).Set(amount.UnscaledBig())
	scale := int64(9) - int64(amount.Scale())
	if scale < 0 {
		return "between billionths"
	}
	unscaled.Mul(unscaled, new(big.Int).Exp(big.NewInt(10), big.NewInt(scale), nil))
	if unscaled.CmpAbs(most) > 0 {
		return new(big.Int).Mul(most, big.NewInt(int64(unscaled.Sign()))).String()
	}
	return unscaled.String()
}
